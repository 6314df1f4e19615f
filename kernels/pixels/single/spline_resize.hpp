// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Cubic spline resize with antialiasing in double precision: skimage.transform.resize(image, size, order=3,
// preserve_range=True, anti_aliasing=True). Every table calls this one implementation, so all give the same bits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/base/carver.hpp"
#include "kernels/pixels/pixel_kernels.hpp"

namespace medsam::kernels {

/// One axis: what it is smoothed by before it is sampled, and where it is sampled.
struct SplineAxis {
  std::int64_t in, out;
  bool filtered;        // false: equal sizes or one sample; the values themselves are the spline's coefficients
  std::int64_t radius;  // of the Gaussian; 0: none
  double* gaussian;     // (radius + 1): the middle weight, then those of the pairs at distance 1, 2, ...
  std::int32_t* index;  // (out, 4): coefficients of each output sample
  double* weight;       // (out, 4)
};

struct SplinePlan {
  SplineAxis x, y;
  double *strip, *smoothed;  // (longer input side, 16) each
  double* columns;           // (width, pitch): one channel resized along y only, transposed
  std::int64_t pitch;
};

/// Lays the plan out in `scratch` and, unless scratch only measures, fills it in. About 8 width new_height bytes.
SplinePlan make_spline_plan(const Pixels& image, std::int64_t new_height, std::int64_t new_width,
                            Carver& carver) noexcept;

/// The resized image, (new_height, new_width, channels) dense, clipped to the range of `image` as skimage does. Out is
/// u8 (only of a u8 image: the fraction is dropped, as astype(uint8) does), float, or double.
template <typename Out>
void spline_resize(const Pixels& image, const SplinePlan& plan, Out* out) noexcept;

/// The resized image to normalize, with all its memory in `scratch`; its data is null if scratch only measures. A u8
/// image stays u8, as published; others become f32, because the published cast to uint8 wraps them.
Pixels spline_resized(const Pixels& image, const ResizeNormalizeParams& params, Carver& carver) noexcept;

}  // namespace medsam::kernels
