// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What lies between the products: depthwise convolution, layer norm, sums.
#if defined(MEDSAM_ENCODER_POINTWISE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MEDSAM_ENCODER_POINTWISE_INL_H_
#undef MEDSAM_ENCODER_POINTWISE_INL_H_
#else
#define MEDSAM_ENCODER_POINTWISE_INL_H_
#endif

#include "hwy/highway.h"
#include "kernels/encoder/encoder_kernels.hpp"
#include "kernels/encoder/rounding-inl.h"

HWY_BEFORE_NAMESPACE();
// NOLINTNEXTLINE(modernize-concat-nested-namespaces): HWY_NAMESPACE names one namespace per target
namespace medsam::kernels {
namespace HWY_NAMESPACE {

/// kOutputs neighboring pixels of the output, all channels: a column of the image is read once for those it is part
/// of. Where kInside is false, rows and columns outside the image are zeros.
template <class Rounding, bool kGelu, std::int64_t kStride, std::int64_t kOutputs, bool kInside>
HWY_INLINE void depthwise_pixels(const DepthwiseParams& p, std::int64_t first) {
  const Floats d;
  constexpr std::int64_t kColumns = (kOutputs - 1) * kStride + 3;
  const std::int64_t left = first * kStride - 1;
  for (std::int64_t c = 0; c < p.channels; c += lanes()) {
    Vec sums[kOutputs];
    for (std::int64_t i = 0; i < kOutputs; ++i) sums[i] = hn::LoadU(d, p.bias + c);
    for (std::int64_t r = 0; r < 3; ++r) {
      if (!kInside && p.rows[r] == nullptr) continue;
      const float* row = p.rows[r] + left * p.channels + c;
      Vec w[3], v[kColumns];
      for (std::int64_t i = 0; i < 3; ++i) w[i] = hn::LoadU(d, p.weight + (3 * r + i) * p.channels + c);
      for (std::int64_t i = 0; i < kColumns; ++i) {
        const bool inside = kInside || (left + i >= 0 && left + i < p.width);
        v[i] = inside ? hn::LoadU(d, row + i * p.channels) : hn::Zero(d);
      }
      for (std::int64_t i = 0; i < kOutputs; ++i) {
        for (std::int64_t tap = 0; tap < 3; ++tap) sums[i] = hn::MulAdd(v[i * kStride + tap], w[tap], sums[i]);
      }
    }
    for (std::int64_t i = 0; i < kOutputs; ++i) {
      auto sum = sums[i];
      if constexpr (kGelu) sum = p.out.format() == Format::bf16 ? gelu<Format::bf16>(sum) : gelu<Format::f32>(sum);
      store<Rounding>(sum, p.out, first + i - p.begin, c);
    }
  }
}

template <class Rounding, bool kGelu, std::int64_t kStride>
void depthwise_row(const DepthwiseParams& p) {
  // Of stride 2 nine columns, three weights and four sums: 16 registers, all that AVX2 has.
  constexpr std::int64_t kOutputs = 4;
  const std::int64_t outputs = (p.width + kStride - 1) / kStride, end = p.end < outputs ? p.end : outputs;
  const bool rows_inside = p.rows[0] != nullptr && p.rows[2] != nullptr;
  std::int64_t x = p.begin;
  if (x == 0 && end > 0) depthwise_pixels<Rounding, kGelu, kStride, 1, false>(p, x++);
  if (rows_inside) {
    // The last of these reads columns up to (x + kOutputs - 1) * kStride + 1.
    for (; (x + kOutputs - 1) * kStride + 1 < p.width && x + kOutputs <= end; x += kOutputs) {
      depthwise_pixels<Rounding, kGelu, kStride, kOutputs, true>(p, x);
    }
  }
  for (; x < end; ++x) depthwise_pixels<Rounding, kGelu, kStride, 1, false>(p, x);
}

template <class Rounding>
void depthwise(const DepthwiseParams& p) noexcept {
  if (p.stride == 1) {
    p.gelu ? depthwise_row<Rounding, true, 1>(p) : depthwise_row<Rounding, false, 1>(p);
  } else {
    p.gelu ? depthwise_row<Rounding, true, 2>(p) : depthwise_row<Rounding, false, 2>(p);
  }
}

/// kRows rows at once, so that one's sums are added up while the next one's are made. Calls put(row, channel, numbers)
/// with the normalized ones.
template <std::int64_t kRows, class Put>
HWY_INLINE void normalize_group(const NormalizeRowsParams& p, std::int64_t row, const Put& put) {
  const Floats d;
  const float* in = p.in + row * p.channels;
  const auto count = static_cast<float>(p.channels);
  Vec total[kRows], squares[kRows], scale[kRows];
#pragma GCC unroll 4
  for (std::int64_t r = 0; r < kRows; ++r) total[r] = squares[r] = hn::Zero(d);
  for (std::int64_t c = 0; c < p.channels; c += lanes()) {
#pragma GCC unroll 4
    for (std::int64_t r = 0; r < kRows; ++r) total[r] = hn::Add(total[r], hn::LoadU(d, in + r * p.channels + c));
  }
#pragma GCC unroll 4
  for (std::int64_t r = 0; r < kRows; ++r) {
    total[r] = hn::Set(d, hn::GetLane(hn::SumOfLanes(d, total[r])) / count);  // the mean, from here on
  }
  for (std::int64_t c = 0; c < p.channels; c += lanes()) {
#pragma GCC unroll 4
    for (std::int64_t r = 0; r < kRows; ++r) {
      const auto difference = hn::Sub(hn::LoadU(d, in + r * p.channels + c), total[r]);
      squares[r] = hn::MulAdd(difference, difference, squares[r]);
    }
  }
#pragma GCC unroll 4
  for (std::int64_t r = 0; r < kRows; ++r) {
    const float variance = hn::GetLane(hn::SumOfLanes(d, squares[r])) / count;
    scale[r] = hn::Div(hn::Set(d, 1.0F), hn::Sqrt(hn::Set(d, variance + p.eps)));
  }
  for (std::int64_t c = 0; c < p.channels; c += lanes()) {
    Vec v[kRows];
#pragma GCC unroll 4
    for (std::int64_t r = 0; r < kRows; ++r) {
      v[r] = hn::Mul(hn::Sub(hn::LoadU(d, in + r * p.channels + c), total[r]), scale[r]);
      if (p.weight != nullptr) v[r] = hn::MulAdd(v[r], hn::LoadU(d, p.weight + c), hn::LoadU(d, p.bias + c));
    }
    put(row, c, v);
  }
}

// The sums of a row are a chain of additions, each of which waits four cycles for the one before.
constexpr std::int64_t kNormalizedTogether = 4;

template <class Rounding, bool kGelu, Format kOut>
HWY_INLINE void normalize_rows_as(const NormalizeRowsParams& p) {
  const auto put = [&p](std::int64_t row, std::int64_t c, auto& v) HWY_ATTR {
    std::int64_t r = 0;
    for (auto& numbers : v) {
      store_as<Rounding, kOut>(kGelu ? gelu<kOut>(numbers) : numbers, p.out, row + r++, c);
    }
  };
  std::int64_t row = 0;
  for (; row + kNormalizedTogether <= p.rows; row += kNormalizedTogether) {
    normalize_group<kNormalizedTogether>(p, row, put);
  }
  for (; row < p.rows; ++row) normalize_group<1>(p, row, put);
}

template <class Rounding>
void normalize_rows(const NormalizeRowsParams& p) noexcept {
  if (p.out.format() == Format::bf16) {
    return p.gelu ? normalize_rows_as<Rounding, true, Format::bf16>(p)
                  : normalize_rows_as<Rounding, false, Format::bf16>(p);
  }
  p.gelu ? normalize_rows_as<Rounding, true, Format::f32>(p) : normalize_rows_as<Rounding, false, Format::f32>(p);
}

template <class Rounding>
void round(const float* in, Bf16* out, std::int64_t n) noexcept {
  for (std::int64_t i = 0; i < n; i += lanes()) Rounding::store(hn::LoadU(Floats(), in + i), out + i);
}

inline void add(const float* from, float* to, std::int64_t n) noexcept {
  const Floats d;
  for (std::int64_t i = 0; i < n; i += lanes()) {
    hn::StoreU(hn::Add(hn::LoadU(d, from + i), hn::LoadU(d, to + i)), d, to + i);
  }
}

inline void expand_planes(const float* const* planes, std::int64_t count, std::int64_t n, const float* weight,
                          const float* bias, std::int64_t channels, float* out) noexcept {
  const Floats d;
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t c = 0; c < channels; c += lanes()) {
      auto v = hn::LoadU(d, bias + c);
      for (std::int64_t p = 0; p < count; ++p) {
        v = hn::MulAdd(hn::Set(d, planes[p][i]), hn::LoadU(d, weight + p * channels + c), v);
      }
      hn::StoreU(gelu<Format::f32>(v), d, out + i * channels + c);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace medsam::kernels
HWY_AFTER_NAMESPACE();

#endif
