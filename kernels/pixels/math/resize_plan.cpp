// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The choice of path: opencv modules/imgproc/src/resize.cpp, cv::hal::resize.
#include "kernels/pixels/math/resize_plan.hpp"

#include <cmath>
#include <limits>

#include "kernels/pixels/math/axis_weights.hpp"

namespace medsam::kernels {
namespace {

bool is_whole(double scale) noexcept {
  return std::abs(scale - std::nearbyint(scale)) < std::numeric_limits<double>::epsilon();
}

AxisTaps take_taps(std::int64_t size, std::int32_t count, Carver& carver) noexcept {
  const auto n = static_cast<std::size_t>(size * count);
  AxisTaps taps{};
  taps.count = count;
  taps.size = size;
  taps.index = carver.take<std::int32_t>(n);
  taps.weight = carver.take<float>(n);
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

ResizePlan lay_out_resize_plan(const Pixels& image, const ResizeNormalizeParams& params, Carver& carver) noexcept {
  ResizePlan plan{};
  plan.path = resize_path(image, params);
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
      plan.cells_x = carver.take<AreaCell>(static_cast<std::size_t>(params.new_width));
      plan.cells_y = carver.take<AreaCell>(static_cast<std::size_t>(params.new_height));
      break;
    case ResizePath::linear:
    case ResizePath::area_enlarged:
    case ResizePath::cubic: {
      const std::int32_t count = plan.path == ResizePath::cubic ? 4 : 2;
      plan.taps_x = take_taps(params.new_width, count, carver);
      plan.taps_y = take_taps(params.new_height, count, carver);
      break;
    }
  }
  return plan;
}

ResizePlan make_resize_plan(const Pixels& image, const ResizeNormalizeParams& params, Carver& carver) noexcept {
  const ResizePlan plan = lay_out_resize_plan(image, params, carver);
  if (carver.measuring()) return plan;
  const bool fixed = image.type == PixelType::u8;
  for (std::int64_t x = 0; x < params.new_width; ++x) fill_axis(x, image.width, params.new_width, true, fixed, plan);
  for (std::int64_t y = 0; y < params.new_height; ++y) {
    fill_axis(y, image.height, params.new_height, false, fixed, plan);
  }
  return plan;
}

}  // namespace medsam::kernels
