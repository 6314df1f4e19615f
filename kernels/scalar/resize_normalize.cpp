// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The stages of the oracle's pre-processing, and the oracle's table.
#include "kernels/antialiased_resize.hpp"
#include "kernels/scalar/scalar.hpp"
#include "kernels/spline_resize.hpp"

namespace medsam::kernels {
namespace scalar {
namespace {

std::byte* take_resized(const Pixels& image, const ResizeNormalizeParams& params, Scratch& scratch) noexcept {
  const auto samples = static_cast<std::size_t>(params.new_height * params.new_width * image.channels);
  return scratch.take<std::byte>(samples * pixel_bytes(image.type));
}

template <typename T>
void resize_typed(const Pixels& image, const ResizePlan& plan, const ResizeNormalizeParams& params,
                  void* out) noexcept {
  auto* typed = static_cast<T*>(out);
  switch (plan.path) {
    case ResizePath::copy:
    case ResizePath::spline:
    case ResizePath::antialiased:
      break;
    case ResizePath::area:
      resize_area<T>(image, plan, params.new_height, params.new_width, typed);
      break;
    case ResizePath::area_integer:
      resize_area_integer<T>(image, plan, params.new_height, params.new_width, typed);
      break;
    case ResizePath::linear:
    case ResizePath::area_enlarged:
    case ResizePath::cubic:
      resize_taps<T>(image, plan, params.new_height, params.new_width, typed);
      break;
  }
}

}  // namespace

std::size_t resize_normalize_scratch(const Pixels& image, const ResizeNormalizeParams& params) noexcept {
  Scratch scratch(nullptr);
  const ResizePlan plan = make_resize_plan(image, params, scratch);
  if (plan.path == ResizePath::spline) {
    spline_resized(image, params, scratch);
  } else if (plan.path == ResizePath::antialiased) {
    antialiased_resized(image, params, scratch);
  } else if (plan.path != ResizePath::copy) {
    take_resized(image, params, scratch);
  }
  return scratch.used();
}

bool resize_normalize(const Pixels& image, const ResizeNormalizeParams& params, float* out,
                      void* scratch_memory) noexcept {
  if (!all_finite(image)) return false;
  Scratch scratch(scratch_memory);
  const ResizePlan plan = make_resize_plan(image, params, scratch);
  if (plan.path == ResizePath::copy) return normalize_pad(image, params, out);
  if (plan.path == ResizePath::spline) return normalize_pad(spline_resized(image, params, scratch), params, out);
  if (plan.path == ResizePath::antialiased) {
    return normalize_pad(antialiased_resized(image, params, scratch), params, out);
  }
  std::byte* data = take_resized(image, params, scratch);
  switch (image.type) {
    case PixelType::u8:
      resize_typed<std::uint8_t>(image, plan, params, data);
      break;
    case PixelType::u16:
      resize_typed<std::uint16_t>(image, plan, params, data);
      break;
    case PixelType::i16:
      resize_typed<std::int16_t>(image, plan, params, data);
      break;
    case PixelType::f32:
      resize_typed<float>(image, plan, params, data);
      break;
  }
  const std::int64_t stride = params.new_width * image.channels * static_cast<std::int64_t>(pixel_bytes(image.type));
  return normalize_pad({data, image.type, params.new_height, params.new_width, image.channels, stride}, params, out);
}

}  // namespace scalar

const KernelTable& scalar_table() noexcept {
  static constexpr KernelTable kTable = {"SCALAR",
                                         scalar::resize_normalize_scratch,
                                         scalar::resize_normalize,
                                         scalar::upsample_threshold_scratch,
                                         scalar::upsample_threshold,
                                         scalar::to_half,
                                         scalar::from_half};
  return kTable;
}

}  // namespace medsam::kernels
