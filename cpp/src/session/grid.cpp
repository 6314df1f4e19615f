// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "session/grid.hpp"

#include <algorithm>
#include <cmath>

#include "base/number_text.hpp"
#include "image/geometry.hpp"
#include "medsam/error.hpp"

namespace medsam::session {

std::string plane_text(const Plane& plane) {
  return "plane " + std::to_string(plane.index) + " of axis " + std::to_string(plane.axis);
}

void check_plane(const Grid& grid, const Plane& plane) {
  if (plane.axis < 0 || plane.axis > 2) {
    throw InvalidArgument("plane: got axis " + std::to_string(plane.axis) + ", expected 0 (z), 1 (y) or 2 (x)");
  }
  const std::int64_t count = grid.shape[plane.axis];
  if (plane.index < 0 || plane.index >= count) {
    throw InvalidArgument("plane: got " + plane_text(plane) + ", expected an index from 0 to " +
                          std::to_string(count - 1));
  }
}

void check_point(const Grid& grid, const Plane& plane, const PlanePoint& point, const std::string& what) {
  const auto columns = static_cast<double>(grid.columns(plane.axis)), rows = static_cast<double>(grid.rows(plane.axis));
  // Written so that NaN fails.
  const bool inside = point.x >= -0.5 && point.x < columns - 0.5 && point.y >= -0.5 && point.y < rows - 0.5;
  if (inside) return;
  throw InvalidArgument(what + ": got " + numbers_text({point.x, point.y}) + " in " + plane_text(plane) +
                        ", expected a position in its " + std::to_string(grid.columns(plane.axis)) + " x " +
                        std::to_string(grid.rows(plane.axis)) + " pixels");
}

void check_drawn(const Grid& grid, const Plane& plane, const std::vector<PlanePoint>& line, const std::string& what) {
  const double most =
      4 * static_cast<double>(grid.rows(plane.axis)) * static_cast<double>(grid.columns(plane.axis)) + 1000;
  double length = 0;
  for (std::size_t i = 1; i < line.size(); ++i) {
    length += std::max(std::abs(line[i].x - line[i - 1].x), std::abs(line[i].y - line[i - 1].y));
  }
  if (length <= most) return;
  throw InvalidArgument(what + ": got a line of " + number_text(std::floor(length)) + " pixels, expected at most " +
                        number_text(most) + " in " + plane_text(plane) + "; draw it in parts");
}

VoxelBox whole(const Grid& grid) { return {0, 0, 0, grid.width() - 1, grid.height() - 1, grid.depth() - 1}; }

void check_voxels(const Grid& grid, const VoxelBox& box) {
  const VoxelBox all = whole(grid);
  const bool inside =
      box.x0 >= 0 && box.y0 >= 0 && box.z0 >= 0 && box.x1 <= all.x1 && box.y1 <= all.y1 && box.z1 <= all.z1;
  if (inside && !box.empty()) return;
  std::string got;
  for (const std::int64_t v : {box.x0, box.y0, box.z0, box.x1, box.y1, box.z1}) got += std::to_string(v) + " ";
  throw InvalidArgument("box: got voxels " + got + "(x0 y0 z0 x1 y1 z1, ends inclusive), expected some of the " +
                        std::to_string(grid.width()) + " x " + std::to_string(grid.height()) + " x " +
                        std::to_string(grid.depth()));
}

PlanePixel pixel_of(const Grid& grid, const Plane& plane, const PlanePoint& point) {
  const auto nearest = [](double v, std::int64_t size) {
    return std::clamp<std::int64_t>(static_cast<std::int64_t>(std::floor(v + 0.5)), 0, size - 1);
  };
  return {nearest(point.x, grid.columns(plane.axis)), nearest(point.y, grid.rows(plane.axis))};
}

VoxelBox voxels_of(const Plane& plane, std::int64_t x0, std::int64_t y0, std::int64_t x1, std::int64_t y1) {
  if (x1 < x0 || y1 < y0) return {};
  switch (plane.axis) {
    case 0:
      return {x0, y0, plane.index, x1, y1, plane.index};
    case 1:
      return {x0, plane.index, y0, x1, plane.index, y1};
    default:
      return {plane.index, x0, y0, plane.index, x1, y1};
  }
}

VoxelBox united(const VoxelBox& a, const VoxelBox& b) {
  if (a.empty()) return b;
  if (b.empty()) return a;
  return {std::min(a.x0, b.x0), std::min(a.y0, b.y0), std::min(a.z0, b.z0),
          std::max(a.x1, b.x1), std::max(a.y1, b.y1), std::max(a.z1, b.z1)};
}

}  // namespace medsam::session
