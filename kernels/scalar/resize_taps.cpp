// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Linear and cubic resize: a weighted sum of 2 or 4 taps along x, then along y. u8 is fixed point with 11 fractional
// bits, the other types are single precision (opencv modules/imgproc/src/resize.cpp HResize*, VResize*).
#include "kernels/scalar/scalar.hpp"

namespace medsam::kernels::scalar {
namespace {

/// Sum along x of output sample (x, c): an integer for u8.
template <typename T, typename Sum>
Sum sum_x(const T* row, const AxisTaps& taps, std::int64_t x, int channels, int c) noexcept {
  const auto product = [&](std::int64_t k) {
    const std::int64_t at = k * taps.size + x;
    return static_cast<Sum>(row[taps.index[at] * channels + c]) * static_cast<Sum>(taps.weight[at]);
  };
  Sum sum = product(0);
  for (std::int32_t k = 1; k < taps.count; ++k) sum += product(k);
  return sum;
}

/// `in_group`: the sample is in one of the whole groups of its row, see kCubicGroup.
template <typename T>
T sum_y(const float* s, const float* b, std::int32_t count, bool in_group) noexcept {
  if (count == 2) return round_to<T>(s[0] * b[0] + s[1] * b[1]);
  return round_to<T>(in_group ? cubic_y(s, b) : cubic_y_tail(s, b));
}

template <>
std::uint8_t sum_y(const float* s, const float* b, std::int32_t count, bool in_group) noexcept {
  std::int32_t si[4], bi[4];
  float scaled[4];
  for (std::int32_t k = 0; k < count; ++k) {
    si[k] = static_cast<std::int32_t>(s[k]);
    bi[k] = static_cast<std::int32_t>(b[k]);
    scaled[k] = b[k] * (1.F / (kWeightOne * kWeightOne));
  }
  if (count == 2) return linear_y_u8(si[0], si[1], bi[0], bi[1]);
  return in_group ? round_to<std::uint8_t>(cubic_y(s, scaled)) : cubic_y_u8_fixed(si, bi);
}

}  // namespace

template <typename T>
void resize_taps(const Pixels& image, const ResizePlan& plan, std::int64_t height, std::int64_t width,
                 T* out) noexcept {
  using Sum = std::conditional_t<std::is_same_v<T, std::uint8_t>, std::int32_t, float>;
  const AxisTaps &tx = plan.taps_x, &ty = plan.taps_y;
  const std::int64_t in_groups = width * image.channels / kCubicGroup<T> * kCubicGroup<T>;
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      for (int c = 0; c < image.channels; ++c) {
        float s[4], b[4];
        for (std::int32_t k = 0; k < ty.count; ++k) {
          // A u8 sum is below 2^24: exact as a float.
          s[k] =
              static_cast<float>(sum_x<T, Sum>(row_of<T>(image, ty.index[k * ty.size + y]), tx, x, image.channels, c));
          b[k] = ty.weight[k * ty.size + y];
        }
        *out++ = sum_y<T>(s, b, ty.count, x * image.channels + c < in_groups);
      }
    }
  }
}

template void resize_taps(const Pixels&, const ResizePlan&, std::int64_t, std::int64_t, std::uint8_t*) noexcept;
template void resize_taps(const Pixels&, const ResizePlan&, std::int64_t, std::int64_t, std::uint16_t*) noexcept;
template void resize_taps(const Pixels&, const ResizePlan&, std::int64_t, std::int64_t, std::int16_t*) noexcept;
template void resize_taps(const Pixels&, const ResizePlan&, std::int64_t, std::int64_t, float*) noexcept;

}  // namespace medsam::kernels::scalar
