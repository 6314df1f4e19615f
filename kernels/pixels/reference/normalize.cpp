// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Normalize the resized image into planar floats and pad it right and bottom.
#include <algorithm>

#include "kernels/pixels/math/normalize_plan.hpp"
#include "kernels/pixels/math/resized_sample.hpp"
#include "kernels/pixels/reference/reference.hpp"

namespace medsam::kernels::reference {
namespace {

template <typename T>
ValueRange range_of(const Pixels& image) noexcept {
  ValueRange range{static_cast<float>(image_row<T>(image, 0)[0]), static_cast<float>(image_row<T>(image, 0)[0])};
  for (std::int64_t y = 0; y < image.height; ++y) {
    const T* row = image_row<T>(image, y);
    for (std::int64_t i = 0; i < image.width * image.channels; ++i) {
      range.lo = std::min(range.lo, static_cast<float>(row[i]));
      range.hi = std::max(range.hi, static_cast<float>(row[i]));
    }
  }
  return range;
}

template <typename T>
bool normalize_typed(const Pixels& image, const ResizeNormalizeParams& params, float* out) noexcept {
  const NormalizePlan plan =
      make_normalize_plan(image, params, needs_range(params) ? range_of<T>(image) : ValueRange{});
  if (!plan.finite) return false;
  const std::int64_t size = params.out_size;
  for (int c = 0; c < 3; ++c) {
    float* plane = out + c * size * size;
    std::fill(plane, plane + size * size, plan.pad);
    for (std::int64_t y = 0; y < image.height; ++y) {
      const T* row = image_row<T>(image, y) + (image.channels == 3 ? c : 0);
      for (std::int64_t x = 0; x < image.width; ++x) {
        plane[y * size + x] = normalized(static_cast<float>(row[x * image.channels]), plan.offset[c], plan.divisor[c]);
      }
    }
  }
  return true;
}

}  // namespace

bool all_finite(const Pixels& image) noexcept {
  if (image.type != PixelType::f32) return true;
  for (std::int64_t y = 0; y < image.height; ++y) {
    const float* row = image_row<float>(image, y);
    for (std::int64_t i = 0; i < image.width * image.channels; ++i) {
      if (!is_finite(row[i])) return false;
    }
  }
  return true;
}

bool normalize_pad(const Pixels& image, const ResizeNormalizeParams& params, float* out) noexcept {
  switch (image.type) {
    case PixelType::u8:
      return normalize_typed<std::uint8_t>(image, params, out);
    case PixelType::u16:
      return normalize_typed<std::uint16_t>(image, params, out);
    case PixelType::i16:
      return normalize_typed<std::int16_t>(image, params, out);
    case PixelType::f32:
      return normalize_typed<float>(image, params, out);
  }
  return false;
}

}  // namespace medsam::kernels::reference
