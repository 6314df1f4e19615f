// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Offset, divisor and padding value of a normalisation, from the range of the resized image. Shared by all
// implementations.
#pragma once

#include <algorithm>
#include <cmath>

#include "kernels/kernels.hpp"
#include "kernels/pixel_math.hpp"

namespace medsam::kernels {

struct ValueRange {
  float lo = 0.F, hi = 0.F;
};

struct NormalizePlan {
  float offset[3], divisor[3];
  float pad;
  bool finite;  // the range of an f32 image may overflow
};

inline bool needs_range(const ResizeNormalizeParams& params) noexcept {
  return params.normalize != Normalize::mean_std;
}

/// `resized`: only its size is used.
inline NormalizePlan make_normalize_plan(const Pixels& resized, const ResizeNormalizeParams& params,
                                         ValueRange range) noexcept {
  NormalizePlan plan{};
  plan.finite = true;
  if (!needs_range(params)) {
    std::copy(params.mean, params.mean + 3, plan.offset);
    std::copy(params.stddev, params.stddev + 3, plan.divisor);
    return plan;
  }
  const bool zero_counts = params.normalize == Normalize::min_max_padded;
  if (zero_counts && (resized.height < params.out_size || resized.width < params.out_size)) {
    range = {std::min(range.lo, 0.F), std::max(range.hi, 0.F)};
  }
  const float span = range.hi - range.lo;
  const float divisor = static_cast<float>(std::max(static_cast<double>(span), params.min_range));
  std::fill(plan.offset, plan.offset + 3, range.lo);
  std::fill(plan.divisor, plan.divisor + 3, divisor);
  plan.pad = zero_counts ? normalized(0.F, range.lo, divisor) : 0.F;
  plan.finite = std::isfinite(span);
  return plan;
}

}  // namespace medsam::kernels
