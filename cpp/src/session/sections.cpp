// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "session/sections.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <limits>
#include <optional>
#include <set>
#include <utility>

namespace medsam::session {

namespace {

constexpr double kReach = 0.7;           // of the box's shorter side
constexpr double kExponents[] = {4, 2};  // of the superellipsoids whose sections are asked about
constexpr float kStable = 1;             // logits: the thresholds of the stability
constexpr double kLeastWeight = 1e-6, kWeightPower = 4;

/// A side of a section at t of the way from the center (0) to the end (1) of a superellipsoid, rounded to whole pixels.
std::pair<std::int64_t, std::int64_t> section(double low, double high, double t, double exponent) {
  const double share = std::pow(1 - std::pow(std::min(std::abs(t), 0.999), exponent), 1 / exponent);
  const double center = (low + high) / 2, half = (high - low) / 2 * share;
  return {static_cast<std::int64_t>(std::nearbyint(center - half)),
          static_cast<std::int64_t>(std::nearbyint(center + half))};
}

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
std::vector<Box> asked(const FrameGeometry& frame, const Placed& placed) {
  const FrameBox box = frame.frame_box(placed.box);
  std::vector<FrameBox> boxes;
  for (const double exponent : kExponents) {
    const auto [x0, x1] = section(static_cast<double>(box.x0), static_cast<double>(box.x1), placed.t, exponent);
    const auto [y0, y1] = section(static_cast<double>(box.y0), static_cast<double>(box.y1), placed.t, exponent);
    const FrameBox made{x0, y0, x1, y1};
    if (std::find(boxes.begin(), boxes.end(), made) == boxes.end()) boxes.push_back(made);
  }
  std::vector<Box> out;
  out.reserve(boxes.size());
  for (const FrameBox& b : boxes) out.push_back(frame.plane_box(b));
  return out;
}

/// The model's rating times how little the mask depends on the threshold.
double trust(const Hypotheses& answers, std::int64_t n) {
  const Hypotheses::LowResolution low = answers.low_resolution(n);
  std::int64_t high = 0, wide = 0;
  for (std::int64_t y = 0; y < low.rows; ++y) {
    for (std::int64_t x = 0; x < low.columns; ++x) {
      const float v = low.values[y * low.stride + x];
      high += v > kStable ? 1 : 0;
      wide += v > -kStable ? 1 : 0;
    }
  }
  return wide == 0 ? 0 : answers.rating(n) * static_cast<double>(high) / static_cast<double>(wide);
}

/// The mean of the answers' logits, weighted by the fourth power of the trust in them: the whole frame, padding too.
std::vector<float> fused(const Hypotheses& answers) {
  std::vector<double> sum(static_cast<std::size_t>(answers.logits_size()));
  double weights = 0;
  for (std::int64_t n = 0; n < answers.size(); ++n) {
    const double weight = std::pow(std::max(trust(answers, n), kLeastWeight), kWeightPower);
    const float* logits = answers.low_resolution(n).values;
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += weight * logits[i];
    weights += weight;
  }
  std::vector<float> mean;
  mean.reserve(sum.size());
  for (const double v : sum) mean.push_back(static_cast<float>(v / weights));
  return mean;
}

/// The logits of the planes of a span, made when they are first needed and kept until nothing needs them any more.
class PlaneLogits {
 public:
  using Make = std::function<std::vector<float>(std::int64_t index)>;
  PlaneLogits(const PlaneSpan& span, Make make) : span_(span), make_(std::move(make)) {
    for (std::int64_t d = -kSmoothingRadius; d <= kSmoothingRadius; ++d) {
      weights_.push_back(std::exp(-static_cast<double>(d * d) / 2));
      sum_ += weights_.back();
    }
  }

  /// A plane's logits, smoothed along the axis; beyond the ends, the last plane counts again.
  std::vector<float> smoothed(std::int64_t index) {
    std::vector<double> mean;
    for (std::int64_t d = -kSmoothingRadius; d <= kSmoothingRadius; ++d) {
      const std::vector<float>& plane = of(std::clamp(index + d, span_.first, span_.last));
      mean.resize(plane.size());
      const double weight = weights_[static_cast<std::size_t>(d + kSmoothingRadius)] / sum_;
      for (std::size_t i = 0; i < mean.size(); ++i) mean[i] += weight * plane[i];
    }
    done_.insert(index);
    for (auto plane = planes_.begin(); plane != planes_.end();) {
      plane = needed(plane->first) ? std::next(plane) : planes_.erase(plane);
    }
    return {mean.begin(), mean.end()};
  }

 private:
  const std::vector<float>& of(std::int64_t index) {
    const auto found = planes_.find(index);
    return found != planes_.end() ? found->second : planes_.emplace(index, make_(index)).first->second;
  }
  [[nodiscard]] bool needed(std::int64_t index) const {
    const std::int64_t last = std::min(span_.last, index + kSmoothingRadius);
    for (std::int64_t i = std::max(span_.first, index - kSmoothingRadius); i <= last; ++i) {
      if (done_.count(i) == 0) return true;
    }
    return false;
  }

  PlaneSpan span_;
  Make make_;
  std::vector<double> weights_;
  double sum_ = 0;
  std::map<std::int64_t, std::vector<float>> planes_;
  std::set<std::int64_t> done_;
};

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

void section_masks(const PlaneModel& model, const Grid& grid, const KeyBoxes& keys, const PlaneSpan& span,
                   const std::function<void()>& before,
                   const std::function<bool(std::int64_t index, const PlaneMask& mask)>& take) {
  std::optional<Hypotheses> last;  // any: it knows how logits become a mask
  PlaneLogits logits(span, [&](std::int64_t index) {
    before();
    const Plane plane{keys.axis, index};
    const FrameGeometry frame(grid, keys.axis, model.low_resolution(plane));
    last.emplace(model.boxes(plane, asked(frame, place(keys, index))));
    return fused(*last);
  });
  for (const std::int64_t index : outward(keys, span)) {
    const std::vector<float> smoothed = logits.smoothed(index);  // makes `last`, the first time at the latest
    if (!take(index, last->mask_of(smoothed))) return;
  }
}

}  // namespace medsam::session
