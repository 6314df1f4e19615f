// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What people draw, as pixels: lines, and what a closed line contains.
#include <algorithm>
#include <cmath>

#include "session/answers.hpp"

namespace medsam::session {

std::vector<PlanePixel> pixels_of_line(const Grid& grid, const Plane& plane, const std::vector<PlanePoint>& line) {
  std::vector<PlanePixel> pixels;
  const auto add = [&](const PlanePoint& point) {
    const PlanePixel pixel = pixel_of(grid, plane, point);
    if (pixels.empty() || pixels.back().x != pixel.x || pixels.back().y != pixel.y) pixels.push_back(pixel);
  };
  if (!line.empty()) add(line.front());
  for (std::size_t i = 1; i < line.size(); ++i) {
    const PlanePoint &a = line[i - 1], &b = line[i];
    // At least one step per pixel along the longer side.
    const auto steps = static_cast<std::int64_t>(std::ceil(std::max(std::abs(b.x - a.x), std::abs(b.y - a.y))));
    for (std::int64_t k = 1; k <= steps; ++k) {
      const double t = static_cast<double>(k) / static_cast<double>(steps);
      add({a.x + (b.x - a.x) * t, a.y + (b.y - a.y) * t});
    }
  }
  return pixels;
}

PlaneMask inside_outline(const Grid& grid, int axis, const std::vector<PlanePoint>& outline) {
  PlaneMask mask(grid, axis);
  std::vector<double> crossings;
  for (std::int64_t y = 0; y < mask.rows; ++y) {
    const auto at = static_cast<double>(y);
    crossings.clear();
    for (std::size_t i = 0; i < outline.size(); ++i) {
      const PlanePoint &a = outline[i], &b = outline[(i + 1) % outline.size()];
      if ((a.y <= at) == (b.y <= at)) continue;  // a vertex on the row counts for one of its edges
      crossings.push_back(a.x + (at - a.y) * (b.x - a.x) / (b.y - a.y));
    }
    std::sort(crossings.begin(), crossings.end());
    for (std::size_t i = 0; i + 1 < crossings.size(); i += 2) {
      const auto first = std::max<std::int64_t>(0, static_cast<std::int64_t>(std::ceil(crossings[i])));
      const auto last = std::min(mask.columns - 1, static_cast<std::int64_t>(std::floor(crossings[i + 1])));
      if (first <= last) std::fill(mask.row(y) + first, mask.row(y) + last + 1, std::uint8_t{1});
    }
  }
  std::vector<PlanePoint> closed = outline;
  closed.push_back(outline.front());
  for (const PlanePixel& pixel : pixels_of_line(grid, {axis, 0}, closed)) mask.row(pixel.y)[pixel.x] = 1;
  return mask;
}

}  // namespace medsam::session
