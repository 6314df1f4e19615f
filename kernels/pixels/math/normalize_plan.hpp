// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Offset, divisor and padding value of a normalization, from the range of the resized image. Shared by all
// implementations, host and device.
#pragma once

#include "kernels/pixels/math/pixel_math.hpp"
#include "kernels/pixels/pixel_kernels.hpp"

namespace medsam::kernels {

struct ValueRange {
  float lo = 0.F, hi = 0.F;
};

struct NormalizePlan {
  float offset[3], divisor[3];
  float pad;
  bool finite;  // the range of an f32 image may overflow
};

MEDSAM_HOST_DEVICE inline bool needs_range(const ResizeNormalizeParams& params) noexcept {
  return params.normalize != Normalize::mean_std;
}

/// `resized`: only its size is used.
MEDSAM_HOST_DEVICE inline NormalizePlan make_normalize_plan(const Pixels& resized, const ResizeNormalizeParams& params,
                                                            ValueRange range) noexcept {
  NormalizePlan plan{};
  plan.finite = true;
  if (!needs_range(params)) {
    for (int c = 0; c < 3; ++c) {
      plan.offset[c] = params.mean[c];
      plan.divisor[c] = params.stddev[c];
    }
    return plan;
  }
  const bool zero_counts = params.normalize == Normalize::min_max_padded;
  if (zero_counts && (resized.height < params.out_size || resized.width < params.out_size)) {
    range = {lesser(range.lo, 0.F), greater(range.hi, 0.F)};
  }
  const float span = range.hi - range.lo;
  const float divisor = static_cast<float>(greater(static_cast<double>(span), params.min_range));
  for (int c = 0; c < 3; ++c) {
    plan.offset[c] = range.lo;
    plan.divisor[c] = divisor;
  }
  plan.pad = zero_counts ? normalized(0.F, range.lo, divisor) : 0.F;
  plan.finite = is_finite(span);
  return plan;
}

}  // namespace medsam::kernels
