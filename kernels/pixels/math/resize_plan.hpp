// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Which of OpenCV's resize paths a pair of sizes takes, and the weights along one axis. Computed once a call, in the
// scratch memory, and shared by the scalar and SIMD kernels: they can only differ in how they add the taps up.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/base/carver.hpp"
#include "kernels/pixels/pixel_kernels.hpp"

namespace medsam::kernels {

/// OpenCV chooses by more than the flag: modules/imgproc/src/resize.cpp cv::hal::resize.
enum class ResizePath : std::uint8_t {
  copy,           // equal sizes
  area,           // area, reducing in both directions
  area_integer,   // area by whole factors (also linear by exactly 2 x 2)
  linear,         // linear
  area_enlarged,  // area where a direction enlarges: the linear code with other weights
  cubic,
  spline,       // not OpenCV's: spline_resize.hpp, with a plan of its own
  antialiased,  // likewise: antialiased_resize.hpp
};

/// One output cell of an area resize: taps mid_begin - 1 (w_first), mid_begin .. mid_end - 1 (w_mid), mid_end (w_last).
/// A weight of zero means that the tap is absent.
struct AreaCell {
  std::int32_t mid_begin, mid_end;
  float w_first, w_mid, w_last;
};

/// Taps of one axis for linear (2) and cubic (4).
struct AxisTaps {
  std::int32_t count;   // taps an output sample
  std::int64_t size;    // output samples
  std::int32_t* index;  // (count, size): source index, already clamped to the axis
  float* weight;        // (count, size); for u8 whole numbers, the weights with kWeightBits fractional bits
};

struct ResizePlan {
  ResizePath path;
  std::int64_t factor_x, factor_y;  // area_integer
  AreaCell *cells_x, *cells_y;      // area
  AxisTaps taps_x, taps_y;          // linear, area_enlarged, cubic
};

std::size_t pixel_bytes(PixelType type) noexcept;

/// The path alone; nothing is computed.
ResizePath resize_path(const Pixels& image, const ResizeNormalizeParams& params) noexcept;

/// Lays the plan out in `scratch`, which may be device memory, without writing to it: axis_weights.hpp fills it in.
ResizePlan lay_out_resize_plan(const Pixels& image, const ResizeNormalizeParams& params, Carver& carver) noexcept;
/// The same, filled in unless scratch only measures.
ResizePlan make_resize_plan(const Pixels& image, const ResizeNormalizeParams& params, Carver& carver) noexcept;

}  // namespace medsam::kernels
