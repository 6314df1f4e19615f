// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The source pixels and weights of one output row or column, for host and device. Formulas: opencv
// modules/imgproc/src/resize.cpp, cv::hal::resize and computeResizeAreaTab, with their mixture of double and single
// precision, on which the rounding of u8 depends.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/pixels/math/pixel_math.hpp"
#include "kernels/pixels/math/resize_plan.hpp"

namespace medsam::kernels {

/// OpenCV's scale: not in / out, but the reciprocal of the rounded out / in.
MEDSAM_HOST_DEVICE inline double inverse_scale(std::int64_t in, std::int64_t out) noexcept {
  return static_cast<double>(out) / static_cast<double>(in);
}
MEDSAM_HOST_DEVICE inline double scale_of(std::int64_t in, std::int64_t out) noexcept {
  return 1. / inverse_scale(in, out);
}

/// Cell i of an axis that an area resize reduces from `in` to `out`.
MEDSAM_HOST_DEVICE inline AreaCell area_cell(std::int64_t i, std::int64_t in, std::int64_t out) noexcept {
  const double scale = scale_of(in, out);
  const double begin = static_cast<double>(i) * scale;
  const double end = begin + scale;
  const double width = lesser(scale, static_cast<double>(in) - begin);
  const auto last = lesser(static_cast<std::int32_t>(std::floor(end)), static_cast<std::int32_t>(in - 1));
  const auto first = lesser(static_cast<std::int32_t>(std::ceil(begin)), last);
  AreaCell cell{};
  cell.mid_begin = first;
  cell.mid_end = last;
  cell.w_first = first - begin > 1e-3 ? static_cast<float>((first - begin) / width) : 0.F;
  cell.w_mid = static_cast<float>(1.0 / width);
  cell.w_last = end - last > 1e-3 ? static_cast<float>(lesser(lesser(end - last, 1.), width) / width) : 0.F;
  return cell;
}

/// Source position of an output sample: its index and the fraction beyond it.
struct AxisPosition {
  std::int32_t index;
  float fraction;
};

MEDSAM_HOST_DEVICE inline AxisPosition axis_position(std::int64_t i, std::int64_t in, std::int64_t out,
                                                     bool area_weights) noexcept {
  const double scale = scale_of(in, out);
  const auto d = static_cast<double>(i);
  if (!area_weights) {
    const auto at = static_cast<float>((d + 0.5) * scale - 0.5);
    const auto index = static_cast<std::int32_t>(std::floor(at));
    return {index, at - static_cast<float>(index)};
  }
  const auto index = static_cast<std::int32_t>(std::floor(d * scale));
  const auto f = static_cast<float>((d + 1) - (index + 1) * inverse_scale(in, out));
  return {index, f <= 0 ? 0.F : f - std::floor(f)};
}

/// Along x OpenCV drops the fraction at both ends; along y it keeps it and repeats the border row, which rounds
/// differently.
MEDSAM_HOST_DEVICE inline AxisPosition at_border_x(AxisPosition p, std::int64_t in) noexcept {
  if (p.index < 0) return {0, 0.F};
  if (p.index >= in - 1) return {static_cast<std::int32_t>(in - 1), 0.F};
  return p;
}

/// Writes the taps of output sample i into `taps`; `fixed`: as whole numbers, for u8.
MEDSAM_HOST_DEVICE inline void fill_axis_taps(std::int64_t i, std::int64_t in, bool along_x, bool fixed,
                                              ResizePath path, const AxisTaps& taps) noexcept {
  const std::int64_t out = taps.size;
  const auto last = static_cast<std::int32_t>(in - 1);
  AxisPosition p = axis_position(i, in, out, path == ResizePath::area_enlarged);
  float weights[4];
  if (path == ResizePath::cubic) {
    cubic_weights(p.fraction, weights);
  } else {
    if (along_x) p = at_border_x(p, in);
    weights[0] = 1.F - p.fraction;
    weights[1] = p.fraction;
  }
  const std::int32_t begin = p.index - (taps.count / 2 - 1);
  for (std::int32_t k = 0; k < taps.count; ++k) {
    const std::int32_t index = begin + k;
    taps.index[k * out + i] = index < 0 ? 0 : index > last ? last : index;
    taps.weight[k * out + i] = fixed ? static_cast<float>(fixed_weight(weights[k])) : weights[k];
  }
}

/// Fills in column i (along_x) or row i of a plan laid out for a resize from `in` to `out` samples.
MEDSAM_HOST_DEVICE inline void fill_axis(std::int64_t i, std::int64_t in, std::int64_t out, bool along_x, bool fixed,
                                         const ResizePlan& plan) noexcept {
  if (plan.path == ResizePath::area) {
    (along_x ? plan.cells_x : plan.cells_y)[i] = area_cell(i, in, out);
  } else if (plan.path == ResizePath::linear || plan.path == ResizePath::area_enlarged ||
             plan.path == ResizePath::cubic) {
    fill_axis_taps(i, in, along_x, fixed, plan.path, along_x ? plan.taps_x : plan.taps_y);
  }
}

}  // namespace medsam::kernels
