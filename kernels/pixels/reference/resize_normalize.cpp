// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The stages of the oracle's pre-processing, and the oracle's table.
#include "kernels/pixels/reference/reference.hpp"
#include "kernels/pixels/single/antialiased_resize.hpp"
#include "kernels/pixels/single/spline_resize.hpp"

namespace medsam::kernels {
namespace reference {
namespace {

std::byte* take_resized(const Pixels& image, const ResizeNormalizeParams& params, Carver& carver) noexcept {
  const auto samples = static_cast<std::size_t>(params.new_height * params.new_width * image.channels);
  return carver.take<std::byte>(samples * pixel_bytes(image.type));
}

}  // namespace

std::size_t resize_normalize_scratch(const Pixels& image, const ResizeNormalizeParams& params) noexcept {
  Carver carver(nullptr);
  const ResizePlan plan = make_resize_plan(image, params, carver);
  if (plan.path == ResizePath::spline) {
    spline_resized(image, params, carver);
  } else if (plan.path == ResizePath::antialiased) {
    antialiased_resized(image, params, carver);
  } else if (plan.path != ResizePath::copy) {
    take_resized(image, params, carver);
  }
  return carver.used();
}

bool resize_normalize(const Pixels& image, const ResizeNormalizeParams& params, float* out,
                      void* scratch_memory) noexcept {
  if (!all_finite(image)) return false;
  Carver carver(scratch_memory);
  const ResizePlan plan = make_resize_plan(image, params, carver);
  if (plan.path == ResizePath::copy) return normalize_pad(image, params, out);
  if (plan.path == ResizePath::spline) return normalize_pad(spline_resized(image, params, carver), params, out);
  if (plan.path == ResizePath::antialiased) {
    return normalize_pad(antialiased_resized(image, params, carver), params, out);
  }
  std::byte* data = take_resized(image, params, carver);
  switch (image.type) {
    case PixelType::u8:
      resize(image, plan, params.new_height, params.new_width, reinterpret_cast<std::uint8_t*>(data));
      break;
    case PixelType::u16:
      resize(image, plan, params.new_height, params.new_width, reinterpret_cast<std::uint16_t*>(data));
      break;
    case PixelType::i16:
      resize(image, plan, params.new_height, params.new_width, reinterpret_cast<std::int16_t*>(data));
      break;
    case PixelType::f32:
      resize(image, plan, params.new_height, params.new_width, reinterpret_cast<float*>(data));
      break;
  }
  const std::int64_t stride = params.new_width * image.channels * static_cast<std::int64_t>(pixel_bytes(image.type));
  return normalize_pad({data, image.type, params.new_height, params.new_width, image.channels, stride}, params, out);
}

}  // namespace reference

const KernelTable& reference_table() noexcept {
  static constexpr KernelTable kTable = {"SCALAR",
                                         reference::resize_normalize_scratch,
                                         reference::resize_normalize,
                                         reference::upsample_threshold_scratch,
                                         reference::upsample_threshold,
                                         reference::to_f16,
                                         reference::from_f16,
                                         reference::block_sums};
  return kTable;
}

}  // namespace medsam::kernels
