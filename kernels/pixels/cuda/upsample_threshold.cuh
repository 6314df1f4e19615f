// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Crop + bilinear upsample + threshold + label write + statistics: one kernel for the taps of rows and columns (they
// need double precision, which most GPUs are slow at), one over the pixels. The value is that of pixel_math.hpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/base/carver.hpp"
#include "kernels/pixels/cuda/cuda_kernels.hpp"
#include "kernels/pixels/cuda/lane.cuh"
#include "kernels/pixels/math/pixel_math.hpp"
#include "kernels/pixels/single/square_upsample.hpp"

namespace medsam::kernels::cuda {

struct UpsampleTaps {
  BilinearTap *x, *y;  // (width), (height)
};

inline UpsampleTaps take_taps(const UpsampleThresholdParams& params, Carver& carver) noexcept {
  UpsampleTaps taps{};
  taps.x = carver.take<BilinearTap>(static_cast<std::size_t>(params.width));
  taps.y = carver.take<BilinearTap>(static_cast<std::size_t>(params.height));
  return taps;
}

/// Fills the taps in and resets the counts.
struct PrepareUpsample {
  UpsampleThresholdParams p;
  UpsampleTaps taps;
  MaskCounts* counts;

  MEDSAM_HOST_DEVICE void operator()(const Lane& lane) const noexcept {
    const float scale_x = static_cast<float>(p.unpadded_width) / static_cast<float>(p.width);
    const float scale_y = static_cast<float>(p.unpadded_height) / static_cast<float>(p.height);
    for (std::int64_t i = lane.x; i < p.width; i += lane.step_x) taps.x[i] = bilinear_tap(i, scale_x, p.unpadded_width);
    for (std::int64_t i = lane.x; i < p.height; i += lane.step_x)
      taps.y[i] = bilinear_tap(i, scale_y, p.unpadded_height);
    if (lane.x == 0) {
      *counts = {0, static_cast<std::int32_t>(p.width), static_cast<std::int32_t>(p.height), -1, -1};
    }
  }
};

template <typename Label>
struct UpsampleThreshold {
  UpsampleThresholdParams p;
  UpsampleTaps taps;
  MaskCounts* counts;

  MEDSAM_HOST_DEVICE void operator()(const Lane& lane) const noexcept {
    MaskCounts mine{0, static_cast<std::int32_t>(p.width), static_cast<std::int32_t>(p.height), -1, -1};
    for (std::int64_t x = lane.x; x < p.width; x += lane.step_x) {
      const BilinearTap tx = taps.x[x];
      const auto column = static_cast<std::int32_t>(x);
      for (std::int64_t y = lane.y; y < p.height; y += lane.step_y) {
        if (!(upsampled(p.logits, p.logits_stride, taps.y[y], tx) > p.threshold)) continue;
        auto* row = reinterpret_cast<Label*>(static_cast<std::byte*>(p.out) + y * p.out_row_stride);
        row[x] = static_cast<Label>(p.label);
        const auto line = static_cast<std::int32_t>(y);
        mine = {mine.area + 1, lesser(mine.x0, column), lesser(mine.y0, line), greater(mine.x1, column),
                greater(mine.y1, line)};
      }
    }
    reduce_sum(&counts->area, mine.area);
    reduce_min(&counts->x0, mine.x0);
    reduce_min(&counts->y0, mine.y0);
    reduce_max(&counts->x1, mine.x1);
    reduce_max(&counts->y1, mine.y1);
  }
};

struct UpsampleSquare {
  const float* in;
  std::int64_t height, width, side;
  float* out;

  MEDSAM_HOST_DEVICE void operator()(const Lane& lane) const noexcept {
    for (std::int64_t x = lane.x; x < side; x += lane.step_x) {
      const SquareTap column = square_tap(x, width, side);
      for (std::int64_t y = lane.y; y < side; y += lane.step_y) {
        out[y * side + x] = square_sample(in, width, square_tap(y, height, side), column);
      }
    }
  }
};

template <class Launcher>
void queue_upsample_threshold(Launcher& launcher, const UpsampleThresholdParams& params, MaskCounts* counts,
                              void* workspace) noexcept {
  Carver carver(workspace);
  const UpsampleTaps taps = take_taps(params, carver);
  launcher.launch(PrepareUpsample{params, taps, counts}, {greater(params.width, params.height)});
  const Extent extent{params.width, params.height};
  switch (params.label_type) {
    case LabelType::u8:
      launcher.launch(UpsampleThreshold<std::uint8_t>{params, taps, counts}, extent);
      break;
    case LabelType::u16:
      launcher.launch(UpsampleThreshold<std::uint16_t>{params, taps, counts}, extent);
      break;
    case LabelType::u32:
      launcher.launch(UpsampleThreshold<std::uint32_t>{params, taps, counts}, extent);
      break;
  }
}

}  // namespace medsam::kernels::cuda
