// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "volume/sections.hpp"

#include <algorithm>
#include <cmath>

namespace medsam {

namespace {

constexpr double kNearTop = 0.999;  // of the way: a section is never a point

}  // namespace

double section_inset(double extent, double t, double exponent) {
  const double way = std::min(std::abs(t), kNearTop);
  return extent / 2 * (1 - std::pow(1 - std::pow(way, exponent), 1 / exponent));
}

std::vector<Corners> section_boxes(const Corners& corners, double t, const std::vector<double>& exponents, bool whole) {
  std::vector<Corners> boxes;
  for (const double exponent : exponents) {
    Corners box = corners;
    for (std::size_t i = 0; i < 2; ++i) {
      double inset = section_inset(corners[i + 2] - corners[i], t, exponent);
      if (whole) inset = std::ceil(inset - 0.5);
      box[i] += inset;
      box[i + 2] -= inset;
    }
    if (std::find(boxes.begin(), boxes.end(), box) == boxes.end()) boxes.push_back(box);
  }
  return boxes;
}

}  // namespace medsam
