// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#pragma once

#include <cstdint>

namespace medsam {

/// Whether none of n values is NaN or infinite. x - x is 0 for a finite x and NaN otherwise, so the sum vectorises
/// without a branch an element.
inline bool all_finite(const float* values, std::int64_t n) {
  constexpr std::int64_t kLanes = 16;
  float sums[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) sums[lane] += values[i + lane] - values[i + lane];
  }
  for (; i < n; ++i) sums[0] += values[i] - values[i];
  for (const float sum : sums) {
    if (sum != 0) return false;  // NaN compares unequal
  }
  return true;
}

}  // namespace medsam
