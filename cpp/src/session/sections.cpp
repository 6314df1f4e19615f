// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "session/sections.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <limits>
#include <optional>
#include <utility>

#include "volume/fused_logits.hpp"
#include "volume/sections.hpp"

namespace medsam::session {

namespace {

constexpr double kReach = 0.7;  // of the box's shorter side

/// Where a plane lies among the keys: the box there, and how far beyond the outermost key, of the way to the end.
struct Placed {
  Box box;
  double t = 0;
};

Placed place(const KeyBoxes& keys, std::int64_t index) {
  const auto after = keys.boxes.lower_bound(index);
  if (after == keys.boxes.end()) {
    const auto& [last, box] = *keys.boxes.rbegin();
    return {box, static_cast<double>(index - last) / keys.above};
  }
  if (after->first == index) return {after->second, 0};
  if (after == keys.boxes.begin()) return {after->second, static_cast<double>(after->first - index) / keys.below};
  const auto& [low, a] = *std::prev(after);
  const auto& [high, b] = *after;
  const double t = static_cast<double>(index - low) / static_cast<double>(high - low);
  const auto mixed = [&](double p, double q) { return p + (q - p) * t; };
  return {{mixed(a.x0, b.x0), mixed(a.y0, b.y0), mixed(a.x1, b.x1), mixed(a.y1, b.y1)}, 0};
}

/// The boxes to ask about in a plane: whole pixels of the frame of the model's logits.
std::vector<Box> asked(const FrameGeometry& frame, const Placed& placed, const std::vector<double>& exponents) {
  const FrameBox box = frame.frame_box(placed.box);
  const Corners corners{static_cast<double>(box.x0), static_cast<double>(box.y0), static_cast<double>(box.x1),
                        static_cast<double>(box.y1)};
  std::vector<Box> boxes;
  for (const Corners& made : section_boxes(corners, placed.t, exponents, true)) {
    boxes.push_back(frame.plane_box({static_cast<std::int64_t>(made[0]), static_cast<std::int64_t>(made[1]),
                                     static_cast<std::int64_t>(made[2]), static_cast<std::int64_t>(made[3])}));
  }
  return boxes;
}

/// The answers' logits made one: the whole frame, padding too.
std::vector<float> fused(const Hypotheses& answers, double power) {
  FusedLogits logits(power);
  for (std::int64_t n = 0; n < answers.size(); ++n) {
    const Hypotheses::LowResolution low = answers.low_resolution(n);
    logits.add({low.values, answers.logits_size() / low.stride, low.stride, low.stride}, {low.rows, low.columns},
               answers.rating(n));
  }
  return logits.take().logits;
}

/// The planes of a span, those nearest to a key first, so that what a call reaches in its time hangs together.
std::vector<std::int64_t> outward(const KeyBoxes& keys, const PlaneSpan& span) {
  const auto distance = [&](std::int64_t index) {
    std::int64_t nearest = std::numeric_limits<std::int64_t>::max();
    for (const auto& [key, box] : keys.boxes) nearest = std::min(nearest, std::abs(index - key));
    return nearest;
  };
  std::vector<std::pair<std::int64_t, std::int64_t>> order;
  for (std::int64_t i = span.first; i <= span.last; ++i) order.emplace_back(distance(i), i);
  std::sort(order.begin(), order.end());
  std::vector<std::int64_t> planes;
  planes.reserve(order.size());
  for (const auto& [d, index] : order) planes.push_back(index);
  return planes;
}

}  // namespace

double reach_beyond(const Grid& grid, int axis, const Box& box) {
  const double across = (box.x1 - box.x0 + 1) * grid.column_spacing(axis);
  const double down = (box.y1 - box.y0 + 1) * grid.row_spacing(axis);
  return kReach * std::min(across, down) / grid.spacing[axis] + 0.5;
}

PlaneSpan KeyBoxes::span(const Grid& grid) const {
  const auto count = static_cast<double>(grid.shape[axis]);
  const double first = std::ceil(static_cast<double>(boxes.begin()->first) - below);
  const double last = std::floor(static_cast<double>(boxes.rbegin()->first) + above);
  return {static_cast<std::int64_t>(std::max(0.0, first)), static_cast<std::int64_t>(std::min(count - 1, last))};
}

SectionRules section_rules(const VolumeRules& rules) {
  return rules.follow == Follow::sections ? rules.sections : builtin_profile("clinical").volume.sections;
}

void section_masks(const PlaneModel& model, const Grid& grid, const KeyBoxes& keys, const PlaneSpan& span,
                   const SectionRules& rules, const std::function<void()>& before,
                   const std::function<bool(std::int64_t index, const PlaneMask& mask)>& take) {
  std::optional<Hypotheses> last;  // any: it knows how logits become a mask
  const auto logits_of = [&](std::int64_t index) {
    before();
    const Plane plane{keys.axis, index};
    const FrameGeometry frame(grid, keys.axis, model.low_resolution(plane));
    last.emplace(model.boxes(plane, asked(frame, place(keys, index), rules.exponents)));
    return fused(*last, rules.rating_power);
  };
  SmoothedPlanes planes(span.first, span.last, rules.smooth_slices);
  for (const std::int64_t index : outward(keys, span)) {
    for (const std::int64_t missing : planes.missing(index)) planes.put(missing, logits_of(missing));
    if (!take(index, last->mask_of(planes.take(index)))) return;
  }
}

}  // namespace medsam::session
