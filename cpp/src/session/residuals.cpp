// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "session/residuals.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <utility>

#include "session/distance.hpp"

namespace medsam::session {

namespace {

constexpr double kReachAdded = 0.4, kReachTaken = 0.15;  // of the object's planes
constexpr float kMostChange = 8;                         // pixels
constexpr float kNothing = 20;                           // pixels: the distance from an edge that is not in the plane

std::vector<float> bounded_distance(const PlaneMask& mask) {
  std::vector<float> distance = signed_distance(mask);
  for (float& d : distance) {
    if (std::isinf(d)) d = d > 0 ? kNothing : -kNothing;
  }
  return distance;
}

}  // namespace

Residuals::Residuals(std::int64_t planes)
    : added_(kReachAdded * static_cast<double>(planes)), taken_(kReachTaken * static_cast<double>(planes)) {}

void Residuals::add(std::int64_t index, const PlaneMask& before, const PlaneMask& after) {
  std::vector<float> change = bounded_distance(after);
  const std::vector<float> from = bounded_distance(before);
  for (std::size_t i = 0; i < change.size(); ++i) {
    change[i] = std::clamp(change[i] - from[i], -kMostChange, kMostChange);
  }
  keys_[index] = std::move(change);
}

PlaneMask Residuals::applied(std::int64_t index, const PlaneMask& mask) const {
  // Between two keys both count, each by its nearness; beyond the outermost one it alone.
  struct Part {
    const std::vector<float>* change;
    double added, taken;  // the shares of what became larger and of what became smaller
  };
  std::vector<Part> parts;
  const auto add_part = [&](const std::pair<const std::int64_t, std::vector<float>>& key, double share) {
    const auto away = static_cast<double>(std::abs(index - key.first));
    const auto weight = [&](double reach) { return reach > 0 ? share * std::max(0.0, 1 - away / reach) : 0; };
    const Part part{&key.second, weight(added_), weight(taken_)};
    if (part.added > 0 || part.taken > 0) parts.push_back(part);
  };
  const auto above = keys_.lower_bound(index);
  const bool has_above = above != keys_.end(), has_below = above != keys_.begin();
  if (has_above && has_below) {
    const auto below = std::prev(above);
    const double t = static_cast<double>(index - below->first) / static_cast<double>(above->first - below->first);
    add_part(*below, 1 - t);
    add_part(*above, t);
  } else if (has_above) {
    add_part(*above, 1);
  } else if (has_below) {
    add_part(*std::prev(above), 1);
  }
  if (parts.empty()) return mask;
  const std::vector<float> distance = bounded_distance(mask);
  PlaneMask out(mask.rows, mask.columns);
  for (std::size_t i = 0; i < distance.size(); ++i) {
    double sum = distance[i];
    for (const Part& part : parts) {
      const float change = (*part.change)[i];
      sum += (change > 0 ? part.added : part.taken) * change;
    }
    out.values[i] = sum > 0 ? 1 : 0;
  }
  return out;
}

}  // namespace medsam::session
