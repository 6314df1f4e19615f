// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The arithmetic of one pixel, shared by the scalar oracle and by device code, as axis_weights.hpp and
// resized_sample.hpp are. Everything is plain single precision or integer arithmetic in a fixed order: a build must not
// contract a multiply and an add into an FMA of its own accord (-ffp-contract=off, nvcc: --fmad=false), or masks would
// depend on the processor.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#if defined(__CUDACC__)
#define MEDSAM_HOST_DEVICE __host__ __device__
#else
#define MEDSAM_HOST_DEVICE
#endif

namespace medsam::kernels {

/// OpenCV's fixed-point weights for u8 have 11 fractional bits: opencv modules/imgproc/src/resize.cpp
/// INTER_RESIZE_COEF_BITS.
inline constexpr int kWeightBits = 11;
inline constexpr float kWeightOne = 1 << kWeightBits;
/// OpenCV's vertical cubic step works on whole groups of samples of an output row (the lanes of an SSE register), and
/// treats the rest of the row by another rule (u8: integers, halves up) or order of addition. Its results thus depend
/// on a sample's place; so do ours.
template <typename T>
inline constexpr std::int64_t kCubicGroup = std::is_same_v<T, float> ? 4 : 8;

/// Variables, because device code may not call numeric_limits.
template <typename T>
inline constexpr std::int32_t kLowest = std::numeric_limits<T>::min();
template <typename T>
inline constexpr std::int32_t kHighest = std::numeric_limits<T>::max();

template <typename T>
MEDSAM_HOST_DEVICE constexpr T lesser(T a, T b) noexcept {
  return b < a ? b : a;
}
template <typename T>
MEDSAM_HOST_DEVICE constexpr T greater(T a, T b) noexcept {
  return a < b ? b : a;
}

/// Nearest integer, halves to even (cvRound, the default rounding mode).
MEDSAM_HOST_DEVICE inline std::int32_t round_half_even(float v) noexcept {
#if defined(__CUDA_ARCH__)
  return __float2int_rn(v);
#else
  return static_cast<std::int32_t>(std::lrintf(v));
#endif
}

/// Clamp an integer to the range of T.
template <typename T>
MEDSAM_HOST_DEVICE inline T saturate(std::int32_t v) noexcept {
  return static_cast<T>(v < kLowest<T> ? kLowest<T> : v > kHighest<T> ? kHighest<T> : v);
}

/// Round to T as cv::saturate_cast does; f32 stays as it is.
template <typename T>
MEDSAM_HOST_DEVICE inline T round_to(float v) noexcept {
  if constexpr (std::is_same_v<T, float>) {
    return v;
  } else {
    return saturate<T>(round_half_even(v));
  }
}

/// Keys' cubic with A = -0.75: opencv modules/imgproc/src/resize.cpp interpolateCubic, same order of operations.
MEDSAM_HOST_DEVICE inline void cubic_weights(float x, float* w) noexcept {
  constexpr float a = -0.75F;
  w[0] = ((a * (x + 1) - 5 * a) * (x + 1) + 8 * a) * (x + 1) - 4 * a;
  w[1] = ((a + 2) * x - (a + 3)) * x * x + 1;
  w[2] = ((a + 2) * (1 - x) - (a + 3)) * (1 - x) * (1 - x) + 1;
  w[3] = 1.F - w[0] - w[1] - w[2];
}

/// A weight as an 11-bit fixed-point number.
MEDSAM_HOST_DEVICE inline std::int16_t fixed_weight(float w) noexcept {
  return saturate<std::int16_t>(round_half_even(w * kWeightOne));
}

/// Vertical step of u8 linear: OpenCV drops 4 bits of the horizontal sums and 16 of each product before it adds
/// (VResizeLinear<uchar>); the same in its scalar and SSE code.
MEDSAM_HOST_DEVICE inline std::uint8_t linear_y_u8(std::int32_t s0, std::int32_t s1, std::int32_t b0,
                                                   std::int32_t b1) noexcept {
  return static_cast<std::uint8_t>((((b0 * (s0 >> 4)) >> 16) + ((b1 * (s1 >> 4)) >> 16) + 2) >> 2);
}

/// Vertical step of u8 cubic, integer form (the end of a row, where OpenCV has no full vector): halves round up.
MEDSAM_HOST_DEVICE inline std::uint8_t cubic_y_u8_fixed(const std::int32_t* s, const std::int32_t* b) noexcept {
  const std::int32_t v = s[0] * b[0] + s[1] * b[1] + s[2] * b[2] + s[3] * b[3];
  return saturate<std::uint8_t>((v + (1 << (2 * kWeightBits - 1))) >> (2 * kWeightBits));
}

/// Vertical cubic sum in float, last tap first, the order of OpenCV 4's vector code (VResizeCubicVec).
MEDSAM_HOST_DEVICE inline float cubic_y(const float* s, const float* b) noexcept {
  return s[0] * b[0] + (s[1] * b[1] + (s[2] * b[2] + s[3] * b[3]));
}

/// The same outside whole groups: first tap first.
MEDSAM_HOST_DEVICE inline float cubic_y_tail(const float* s, const float* b) noexcept {
  return s[0] * b[0] + s[1] * b[1] + s[2] * b[2] + s[3] * b[3];
}

/// Weight and indices of one output sample of a bilinear resize, align_corners = false, as torch's
/// upsample_bilinear2d computes them in single precision (aten/src/ATen/native/UpSample.h).
struct BilinearTap {
  std::int32_t i0, i1;
  float w0, w1;
};

/// `scale` = input size / output size, divided in single precision.
MEDSAM_HOST_DEVICE inline BilinearTap bilinear_tap(std::int64_t out_index, float scale, std::int64_t in_size) noexcept {
  // torch's AVX2 and AVX-512 builds fuse the multiplication and the subtraction. In double both are exact (48-bit
  // product), so that the one rounding is the conversion.
  const double exact = static_cast<double>(scale) * (static_cast<double>(out_index) + 0.5) - 0.5;
  const float src = exact < 0. ? 0.F : static_cast<float>(exact);
  const auto last = static_cast<std::int32_t>(in_size - 1);
  const auto floor_index = static_cast<std::int32_t>(src);
  const std::int32_t i0 = floor_index < last ? floor_index : last;
  const std::int32_t i1 = i0 < last ? i0 + 1 : last;
  const float frac = src - static_cast<float>(i0);
  const float w1 = frac > 1.F ? 1.F : frac;
  return {i0, i1, 1.F - w1, w1};
}

/// Two-tap blend; the horizontal one is taken first, then the vertical one. The first product is fused with the sum, as
/// in torch's AVX2 and AVX-512 builds: this, and only this, multiply and add of ours is an FMA, on every processor.
MEDSAM_HOST_DEVICE inline float blend(float a, float b, float wa, float wb) noexcept { return std::fma(wa, a, wb * b); }

/// Output sample (x, y) of the bilinear resize whose taps these are; `stride` in floats.
MEDSAM_HOST_DEVICE inline float upsampled(const float* logits, std::int64_t stride, const BilinearTap& ty,
                                          const BilinearTap& tx) noexcept {
  const float *top = logits + ty.i0 * stride, *bottom = logits + ty.i1 * stride;
  return blend(blend(top[tx.i0], top[tx.i1], tx.w0, tx.w1), blend(bottom[tx.i0], bottom[tx.i1], tx.w0, tx.w1), ty.w0,
               ty.w1);
}

/// (v - offset) / divisor in single precision. For integer pixels both operands are exact in f32, so this equals the
/// published scripts' float64 division rounded to f32 (53 >= 2 * 24 + 1 bits: double rounding is innocuous, Figueroa
/// 1995).
MEDSAM_HOST_DEVICE inline float normalized(float v, float offset, float divisor) noexcept {
  return (v - offset) / divisor;
}

MEDSAM_HOST_DEVICE inline std::uint32_t bits_of(float v) noexcept {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &v, sizeof bits);
  return bits;
}

MEDSAM_HOST_DEVICE inline float float_of(std::uint32_t bits) noexcept {
  float v = 0;
  std::memcpy(&v, &bits, sizeof v);
  return v;
}

/// Neither NaN nor an infinity.
MEDSAM_HOST_DEVICE inline bool is_finite(float v) noexcept { return (bits_of(v) & 0x7FFFFFFF) < 0x7F800000; }

/// IEEE 754 binary32 to binary16 and back, by bits. The smallest magnitude that rounds to infinity is 65520, half way
/// between 65504 and 65536: a tie that goes to even.
MEDSAM_HOST_DEVICE inline bool fits_f16(float v) noexcept { return (bits_of(v) & 0x7FFFFFFF) < 0x477FF000; }

MEDSAM_HOST_DEVICE inline std::uint16_t half_of(float v) noexcept {
  const std::uint32_t bits = bits_of(v);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000);
  const std::uint32_t magnitude = bits & 0x7FFFFFFF;
  if (magnitude < 0x38800000) {  // 2^-14, the smallest normal
    // Adding 0.5 shifts a subnormal's bits into place, and the addition rounds to even.
    const std::uint32_t shifted = bits_of(float_of(magnitude) + 0.5F) - bits_of(0.5F);
    return static_cast<std::uint16_t>(sign | shifted);
  }
  // Rebias the exponent by 127 - 15 and round the 13 dropped bits to even.
  const std::uint32_t odd = (magnitude >> 13) & 1;
  return static_cast<std::uint16_t>(sign | ((magnitude - (112U << 23) + 0xFFF + odd) >> 13));
}

MEDSAM_HOST_DEVICE inline float float_of_f16(std::uint16_t half) noexcept {
  const std::uint32_t sign = (half & 0x8000U) << 16;
  const std::uint32_t magnitude = half & 0x7FFFU;
  if (magnitude < 0x0400) {  // subnormal: m * 2^-24, exact
    return float_of(sign | bits_of(static_cast<float>(magnitude) * 0x1p-24F));
  }
  if (magnitude >= 0x7C00) return float_of(sign | (magnitude << 13) | 0x7F800000U);  // infinity, NaN
  return float_of(sign | ((magnitude << 13) + (112U << 23)));
}

}  // namespace medsam::kernels
