// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "session/residuals.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "session/distance.hpp"

namespace medsam::session {

namespace {

constexpr double kReach = 0.4;    // of the object's planes
constexpr float kMostChange = 8;  // pixels
constexpr float kNothing = 20;    // pixels: the distance from an edge that is not in the plane

std::vector<float> bounded_distance(const PlaneMask& mask) {
  std::vector<float> distance = signed_distance(mask);
  for (float& d : distance) {
    if (std::isinf(d)) d = d > 0 ? kNothing : -kNothing;
  }
  return distance;
}

}  // namespace

Residuals::Residuals(std::int64_t planes) : reach_(kReach * static_cast<double>(planes)) {}

void Residuals::add(std::int64_t index, const PlaneMask& before, const PlaneMask& after) {
  std::vector<float> change = bounded_distance(after);
  const std::vector<float> from = bounded_distance(before);
  for (std::size_t i = 0; i < change.size(); ++i) {
    change[i] = std::clamp(change[i] - from[i], -kMostChange, kMostChange);
  }
  keys_[index] = std::move(change);
}

double Residuals::weight(std::int64_t index, std::int64_t key) const {
  return reach_ > 0 ? std::max(0.0, 1 - static_cast<double>(std::abs(index - key)) / reach_) : 0;
}

PlaneMask Residuals::applied(std::int64_t index, const PlaneMask& mask) const {
  // Between two keys both count, each by its nearness; beyond the outermost one it alone.
  struct Part {
    const std::vector<float>* change;
    double share;
  };
  std::vector<Part> parts;
  const auto above = keys_.lower_bound(index);
  const bool has_above = above != keys_.end(), has_below = above != keys_.begin();
  if (has_above && has_below) {
    const auto below = std::prev(above);
    const double t = static_cast<double>(index - below->first) / static_cast<double>(above->first - below->first);
    parts = {{&below->second, (1 - t) * weight(index, below->first)},
             {&above->second, t * weight(index, above->first)}};
  } else if (has_above) {
    parts = {{&above->second, weight(index, above->first)}};
  } else if (has_below) {
    const auto below = std::prev(above);
    parts = {{&below->second, weight(index, below->first)}};
  }
  parts.erase(std::remove_if(parts.begin(), parts.end(), [](const Part& p) { return p.share <= 0; }), parts.end());
  if (parts.empty()) return mask;
  const std::vector<float> distance = bounded_distance(mask);
  PlaneMask out(mask.rows, mask.columns);
  for (std::size_t i = 0; i < distance.size(); ++i) {
    double sum = distance[i];
    for (const Part& part : parts) sum += part.share * (*part.change)[i];
    out.values[i] = sum > 0 ? 1 : 0;
  }
  return out;
}

}  // namespace medsam::session
