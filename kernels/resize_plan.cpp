// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Formulas: opencv modules/imgproc/src/resize.cpp, cv::hal::resize and computeResizeAreaTab, with their mixture of
// double and single precision, on which the rounding of u8 depends.
#include "kernels/resize_plan.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/pixel_math.hpp"

namespace medsam::kernels {
namespace {

/// OpenCV's scale: not in / out, but the reciprocal of the rounded out / in.
double inverse_scale(std::int64_t in, std::int64_t out) noexcept {
  return static_cast<double>(out) / static_cast<double>(in);
}
double scale_of(std::int64_t in, std::int64_t out) noexcept { return 1. / inverse_scale(in, out); }

bool is_whole(double scale) noexcept {
  return std::abs(scale - std::nearbyint(scale)) < std::numeric_limits<double>::epsilon();
}

void fill_cells(std::int64_t in, std::int64_t out, AreaCell* cells) noexcept {
  const double scale = scale_of(in, out);
  const auto size = static_cast<double>(in);
  for (std::int64_t i = 0; i < out; ++i) {
    const double begin = static_cast<double>(i) * scale;
    const double end = begin + scale;
    const double width = std::min(scale, size - begin);
    const auto last = std::min(static_cast<std::int32_t>(std::floor(end)), static_cast<std::int32_t>(in - 1));
    const auto first = std::min(static_cast<std::int32_t>(std::ceil(begin)), last);
    AreaCell& cell = cells[i];
    cell.mid_begin = first;
    cell.mid_end = last;
    cell.w_first = first - begin > 1e-3 ? static_cast<float>((first - begin) / width) : 0.F;
    cell.w_mid = static_cast<float>(1.0 / width);
    cell.w_last = end - last > 1e-3 ? static_cast<float>(std::min(std::min(end - last, 1.), width) / width) : 0.F;
  }
}

/// Source position of output sample i: its index and the fraction beyond it.
struct Position {
  std::int32_t index;
  float fraction;
};

Position position(std::int64_t i, double scale, double inv_scale, bool area_weights) noexcept {
  const auto d = static_cast<double>(i);
  if (!area_weights) {
    const auto at = static_cast<float>((d + 0.5) * scale - 0.5);
    const auto index = static_cast<std::int32_t>(std::floor(at));
    return {index, at - static_cast<float>(index)};
  }
  const auto index = static_cast<std::int32_t>(std::floor(d * scale));
  const auto f = static_cast<float>((d + 1) - (index + 1) * inv_scale);
  return {index, f <= 0 ? 0.F : f - std::floor(f)};
}

/// Along x OpenCV drops the fraction at both ends; along y it keeps it and repeats the border row, which rounds
/// differently.
Position at_border_x(Position p, std::int64_t in) noexcept {
  if (p.index < 0) return {0, 0.F};
  if (p.index >= in - 1) return {static_cast<std::int32_t>(in - 1), 0.F};
  return p;
}

void fill_taps(std::int64_t in, bool along_x, bool fixed, ResizePath path, AxisTaps& taps) noexcept {
  const std::int64_t out = taps.size;
  const double scale = scale_of(in, out), inv_scale = inverse_scale(in, out);
  const auto last = static_cast<std::int32_t>(in - 1);
  for (std::int64_t i = 0; i < out; ++i) {
    Position p = position(i, scale, inv_scale, path == ResizePath::area_enlarged);
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
      taps.index[k * out + i] = std::clamp(begin + k, 0, last);
      taps.weight[k * out + i] = fixed ? static_cast<float>(fixed_weight(weights[k])) : weights[k];
    }
  }
}

AxisTaps take_taps(std::int64_t size, std::int32_t count, Scratch& scratch) noexcept {
  const auto n = static_cast<std::size_t>(size * count);
  AxisTaps taps{};
  taps.count = count;
  taps.size = size;
  taps.index = scratch.take<std::int32_t>(n);
  taps.weight = scratch.take<float>(n);
  return taps;
}

}  // namespace

std::size_t pixel_bytes(PixelType type) noexcept {
  switch (type) {
    case PixelType::u8:
      return 1;
    case PixelType::u16:
    case PixelType::i16:
      return 2;
    case PixelType::f32:
      return 4;
  }
  return 0;
}

ResizePath resize_path(const Pixels& image, const ResizeNormalizeParams& params) noexcept {
  if (image.height == params.new_height && image.width == params.new_width) return ResizePath::copy;
  if (params.interpolation == Interpolation::spline) return ResizePath::spline;
  if (params.interpolation == Interpolation::antialiased) return ResizePath::antialiased;
  if (params.interpolation == Interpolation::cubic) return ResizePath::cubic;
  const double scale_x = scale_of(image.width, params.new_width), scale_y = scale_of(image.height, params.new_height);
  const bool whole = is_whole(scale_x) && is_whole(scale_y);
  if (params.interpolation == Interpolation::linear) {
    return whole && std::lrint(scale_x) == 2 && std::lrint(scale_y) == 2 ? ResizePath::area_integer
                                                                         : ResizePath::linear;
  }
  if (scale_x < 1 || scale_y < 1) return ResizePath::area_enlarged;
  return whole ? ResizePath::area_integer : ResizePath::area;
}

ResizePlan make_resize_plan(const Pixels& image, const ResizeNormalizeParams& params, Scratch& scratch) noexcept {
  ResizePlan plan{};
  plan.path = resize_path(image, params);
  const bool measuring = scratch.measuring();
  switch (plan.path) {
    case ResizePath::copy:
    case ResizePath::spline:
    case ResizePath::antialiased:
      break;
    case ResizePath::area_integer:
      plan.factor_x = image.width / params.new_width;
      plan.factor_y = image.height / params.new_height;
      break;
    case ResizePath::area:
      plan.cells_x = scratch.take<AreaCell>(static_cast<std::size_t>(params.new_width));
      plan.cells_y = scratch.take<AreaCell>(static_cast<std::size_t>(params.new_height));
      if (!measuring) {
        fill_cells(image.width, params.new_width, plan.cells_x);
        fill_cells(image.height, params.new_height, plan.cells_y);
      }
      break;
    case ResizePath::linear:
    case ResizePath::area_enlarged:
    case ResizePath::cubic: {
      const std::int32_t count = plan.path == ResizePath::cubic ? 4 : 2;
      plan.taps_x = take_taps(params.new_width, count, scratch);
      plan.taps_y = take_taps(params.new_height, count, scratch);
      if (!measuring) {
        const bool fixed = image.type == PixelType::u8;
        fill_taps(image.width, true, fixed, plan.path, plan.taps_x);
        fill_taps(image.height, false, fixed, plan.path, plan.taps_y);
      }
      break;
    }
  }
  return plan;
}

}  // namespace medsam::kernels
