// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Linear and cubic resize: a weighted sum of 2 or 4 taps along x, then along y. u8 is fixed point with 11 fractional bits,
// the other types are single precision (opencv modules/imgproc/src/resize.cpp HResize*, VResize*).
#include "kernels/scalar/scalar.hpp"

namespace medsam::kernels::scalar {
namespace {

std::int32_t sum_x_u8(const std::uint8_t* row, const AxisTaps& taps, std::int64_t x, int channels, int c) noexcept {
  std::int32_t sum = 0;
  for (std::int64_t k = x * taps.count; k < (x + 1) * taps.count; ++k) sum += row[taps.index[k] * channels + c] * taps.fixed[k];
  return sum;
}

template <typename T>
float sum_x(const T* row, const AxisTaps& taps, std::int64_t x, int channels, int c) noexcept {
  const std::int32_t* index = taps.index + x * taps.count;
  const float* weight = taps.real + x * taps.count;
  float sum = static_cast<float>(row[index[0] * channels + c]) * weight[0];
  for (std::int32_t k = 1; k < taps.count; ++k) sum += static_cast<float>(row[index[k] * channels + c]) * weight[k];
  return sum;
}

/// `in_group`: the sample is in one of the whole groups of its row, see kCubicGroup.
std::uint8_t sum_y_u8(const std::int32_t* s, const AxisTaps& taps, std::int64_t y, bool in_group) noexcept {
  const std::int16_t* b = taps.fixed + y * taps.count;
  if (taps.count == 2) return linear_y_u8(s[0], s[1], b[0], b[1]);
  if (!in_group) return cubic_y_u8_fixed(s, b);
  constexpr float unit = 1.F / (kWeightOne * kWeightOne);
  float values[4], weights[4];
  for (int k = 0; k < 4; ++k) {
    values[k] = static_cast<float>(s[k]);
    weights[k] = static_cast<float>(b[k]) * unit;
  }
  return round_to<std::uint8_t>(cubic_y(values, weights));
}

template <typename T>
T sum_y(const float* s, const AxisTaps& taps, std::int64_t y, bool in_group) noexcept {
  const float* b = taps.real + y * taps.count;
  if (taps.count == 2) return round_to<T>(s[0] * b[0] + s[1] * b[1]);
  return round_to<T>(in_group ? cubic_y(s, b) : cubic_y_tail(s, b));
}

}  // namespace

template <typename T>
void resize_taps(const Pixels& image, const ResizePlan& plan, std::int64_t height, std::int64_t width, T* out) noexcept {
  const AxisTaps &tx = plan.taps_x, &ty = plan.taps_y;
  const std::int64_t in_groups = width * image.channels / kCubicGroup<T> * kCubicGroup<T>;
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      for (int c = 0; c < image.channels; ++c) {
        const bool in_group = x * image.channels + c < in_groups;
        if constexpr (std::is_same_v<T, std::uint8_t>) {
          std::int32_t s[4];
          for (std::int32_t k = 0; k < ty.count; ++k) {
            s[k] = sum_x_u8(row_of<T>(image, ty.index[y * ty.count + k]), tx, x, image.channels, c);
          }
          *out++ = sum_y_u8(s, ty, y, in_group);
        } else {
          float s[4];
          for (std::int32_t k = 0; k < ty.count; ++k) {
            s[k] = sum_x(row_of<T>(image, ty.index[y * ty.count + k]), tx, x, image.channels, c);
          }
          *out++ = sum_y<T>(s, ty, y, in_group);
        }
      }
    }
  }
}

template void resize_taps(const Pixels&, const ResizePlan&, std::int64_t, std::int64_t, std::uint8_t*) noexcept;
template void resize_taps(const Pixels&, const ResizePlan&, std::int64_t, std::int64_t, std::uint16_t*) noexcept;
template void resize_taps(const Pixels&, const ResizePlan&, std::int64_t, std::int64_t, std::int16_t*) noexcept;
template void resize_taps(const Pixels&, const ResizePlan&, std::int64_t, std::int64_t, float*) noexcept;

}  // namespace medsam::kernels::scalar
