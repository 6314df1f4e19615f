// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// f16 (IEEE half precision) by the bits of pixel_math.hpp.
#pragma once

#include <cstdint>

#include "kernels/pixels/cuda/lane.cuh"
#include "kernels/pixels/math/pixel_math.hpp"

namespace medsam::kernels::cuda {

struct SetFlag {
  std::int32_t* where;
  std::int32_t value;

  MEDSAM_HOST_DEVICE void operator()(const Lane& lane) const noexcept {
    if (lane.x == 0) *where = value;
  }
};

struct ToF16 {
  const float* in;
  std::uint16_t* out;
  std::int64_t n;
  std::int32_t* fits;

  MEDSAM_HOST_DEVICE void operator()(const Lane& lane) const noexcept {
    bool all = true;
    for (std::int64_t i = lane.x; i < n; i += lane.step_x) {
      all = all && fits_f16(in[i]);
      out[i] = half_of(in[i]);
    }
    if (!all) write_flag(fits, 0);
  }
};

struct FromF16 {
  const std::uint16_t* in;
  float* out;
  std::int64_t n;

  MEDSAM_HOST_DEVICE void operator()(const Lane& lane) const noexcept {
    for (std::int64_t i = lane.x; i < n; i += lane.step_x) out[i] = float_of_f16(in[i]);
  }
};

}  // namespace medsam::kernels::cuda
