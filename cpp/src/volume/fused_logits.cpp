// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "volume/fused_logits.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

namespace medsam {

namespace {

constexpr float kStable = 1;  // logits: the thresholds of the stability
// A model may rate a mask at 0 or below, and rates none much above 1; within these, every power of a weight is a number
// to divide by.
constexpr double kLeastTrust = 1e-6, kMostTrust = 1e6;
constexpr double kSigmas = 3;          // of a Gaussian's reach
constexpr std::size_t kAtOnce = 1024;  // logits of a sum that stay in the first-level cache

}  // namespace

double stability(const LogitView& map, const UnpaddedSize& shown) {
  std::int64_t high = 0, wide = 0;
  for (std::int64_t y = 0; y < shown.height; ++y) {
    const float* row = map.values + y * map.stride;
    for (std::int64_t x = 0; x < shown.width; ++x) {
      high += row[x] > kStable ? 1 : 0;
      wide += row[x] > -kStable ? 1 : 0;
    }
  }
  return wide == 0 ? 0 : static_cast<double>(high) / static_cast<double>(wide);
}

void FusedLogits::add(const LogitView& map, const UnpaddedSize& shown, float rating) {
  const double trust = rating * stability(map, shown);
  const double weight = std::pow(std::clamp(trust, kLeastTrust, kMostTrust), power_);
  sum_.resize(static_cast<std::size_t>(map.rows * map.columns));
  double* sum = sum_.data();
  for (std::int64_t y = 0; y < map.rows; ++y, sum += map.columns) {
    const float* row = map.values + y * map.stride;
    for (std::int64_t x = 0; x < map.columns; ++x) sum[x] += weight * row[x];
  }
  ratings_ += weight * rating;
  weights_ += weight;
}

FusedLogits::Mean FusedLogits::take() {
  Mean mean;
  mean.logits.resize(sum_.size());
  for (std::size_t i = 0; i < sum_.size(); ++i) mean.logits[i] = static_cast<float>(sum_[i] / weights_);
  mean.rating = static_cast<float>(ratings_ / weights_);
  std::fill(sum_.begin(), sum_.end(), 0.0);
  ratings_ = weights_ = 0;
  return mean;
}

SmoothedPlanes::SmoothedPlanes(std::int64_t first, std::int64_t last, double sigma) : first_(first), last_(last) {
  const std::int64_t reach = radius(sigma);
  double sum = 0;
  for (std::int64_t d = -reach; d <= reach; ++d) {
    const auto distance = static_cast<double>(d);
    weights_.push_back(d == 0 ? 1 : std::exp(-(distance * distance) / (2 * sigma * sigma)));
    sum += weights_.back();
  }
  for (double& weight : weights_) weight /= sum;
}

std::int64_t SmoothedPlanes::radius(double sigma) { return static_cast<std::int64_t>(std::ceil(kSigmas * sigma)); }

std::int64_t SmoothedPlanes::inside(std::int64_t index) const { return std::clamp(index, first_, last_); }

std::vector<std::int64_t> SmoothedPlanes::missing(std::int64_t index) const {
  std::vector<std::int64_t> planes;
  for (std::int64_t i = inside(index - reach()); i <= inside(index + reach()); ++i) {
    if (planes_.count(i) == 0) planes.push_back(i);
  }
  return planes;
}

void SmoothedPlanes::put(std::int64_t index, std::vector<float> logits) { planes_[index] = std::move(logits); }

std::vector<float> SmoothedPlanes::take(std::int64_t index) {
  std::vector<const float*> taps;
  for (std::int64_t d = -reach(); d <= reach(); ++d) taps.push_back(planes_.at(inside(index + d)).data());
  std::vector<float> smoothed(planes_.at(index).size());
  double sum[kAtOnce];
  for (std::size_t from = 0; from < smoothed.size(); from += kAtOnce) {
    const std::size_t count = std::min(kAtOnce, smoothed.size() - from);
    std::fill(sum, sum + count, 0.0);
    for (std::size_t tap = 0; tap < taps.size(); ++tap) {
      const float* plane = taps[tap] + from;
      for (std::size_t i = 0; i < count; ++i) sum[i] += weights_[tap] * plane[i];
    }
    for (std::size_t i = 0; i < count; ++i) smoothed[from + i] = static_cast<float>(sum[i]);
  }
  taken_.insert(index);
  for (auto plane = planes_.begin(); plane != planes_.end();) {
    plane = needed(plane->first) ? std::next(plane) : planes_.erase(plane);
  }
  return smoothed;
}

bool SmoothedPlanes::needed(std::int64_t index) const {
  for (std::int64_t i = inside(index - reach()); i <= inside(index + reach()); ++i) {
    if (taken_.count(i) == 0) return true;
  }
  return false;
}

}  // namespace medsam
