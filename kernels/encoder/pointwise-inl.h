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

enum class After : std::uint8_t { nothing, gelu, tanh_gelu };

template <After kAfter, Format kFor>
HWY_INLINE Vec activated(Vec v) {
  if constexpr (kAfter == After::gelu) return gelu<kFor>(v);
  if constexpr (kAfter == After::tanh_gelu) return tanh_gelu<kFor>(v);
  return v;
}

/// How a depthwise convolution goes over its rows.
struct Sweep {
  After after;
  std::int64_t stride, size;
};

/// kOutputs neighboring pixels of the output, all channels: a column of the image is read once for those it is part
/// of. Where kInside is false, rows and columns outside the image are zeros.
template <class Rounding, Sweep kSweep, std::int64_t kOutputs, bool kInside>
HWY_INLINE void depthwise_pixels(const DepthwiseParams& p, std::int64_t first) {
  const Floats d;
  constexpr std::int64_t kSize = kSweep.size, kColumns = (kOutputs - 1) * kSweep.stride + kSize;
  const std::int64_t left = first * kSweep.stride - kSize / 2;
  for (std::int64_t c = 0; c < p.channels; c += lanes()) {
    const auto bias = p.bias == nullptr ? hn::Zero(d) : hn::LoadU(d, p.bias + c);
    Vec sums[kOutputs];
    for (std::int64_t i = 0; i < kOutputs; ++i) sums[i] = bias;
    for (std::int64_t r = 0; r < kSize; ++r) {
      if (!kInside && p.rows[r] == nullptr) continue;
      const float* row = p.rows[r] + left * p.channels + c;
      Vec w[kSize], v[kColumns];
      for (std::int64_t i = 0; i < kSize; ++i) w[i] = hn::LoadU(d, p.weight + (kSize * r + i) * p.channels + c);
      for (std::int64_t i = 0; i < kColumns; ++i) {
        const bool inside = kInside || (left + i >= 0 && left + i < p.width);
        v[i] = inside ? hn::LoadU(d, row + i * p.channels) : hn::Zero(d);
      }
      for (std::int64_t i = 0; i < kOutputs; ++i) {
        for (std::int64_t tap = 0; tap < kSize; ++tap) {
          sums[i] = hn::MulAdd(v[i * kSweep.stride + tap], w[tap], sums[i]);
        }
      }
    }
    for (std::int64_t i = 0; i < kOutputs; ++i) {
      const auto sum = p.out.format() == Format::bf16 ? activated<kSweep.after, Format::bf16>(sums[i])
                                                      : activated<kSweep.after, Format::f32>(sums[i]);
      store<Rounding>(sum, p.out, first + i - p.begin, c);
    }
  }
}

template <class Rounding, Sweep kSweep>
void depthwise_row(const DepthwiseParams& p) {
  // Of size 3 and stride 2 nine columns, three weights and four sums: 16 registers, all that AVX2 has.
  constexpr std::int64_t kOutputs = 4, kStride = kSweep.stride, kReach = kSweep.size / 2;
  const std::int64_t outputs = (p.width + kStride - 1) / kStride, end = p.end < outputs ? p.end : outputs;
  bool rows_inside = true;
  for (std::int64_t r = 0; r < kSweep.size; ++r) rows_inside = rows_inside && p.rows[r] != nullptr;
  std::int64_t x = p.begin;
  for (; x * kStride < kReach && x < end; ++x) depthwise_pixels<Rounding, kSweep, 1, false>(p, x);
  if (rows_inside) {
    // The last of these reads columns up to (x + kOutputs - 1) * kStride + kReach.
    for (; (x + kOutputs - 1) * kStride + kReach < p.width && x + kOutputs <= end; x += kOutputs) {
      depthwise_pixels<Rounding, kSweep, kOutputs, true>(p, x);
    }
  }
  for (; x < end; ++x) depthwise_pixels<Rounding, kSweep, 1, false>(p, x);
}

template <class Rounding, After kAfter>
void depthwise_then(const DepthwiseParams& p) {
  p.stride == 1 ? depthwise_row<Rounding, Sweep{kAfter, 1, 3}>(p) : depthwise_row<Rounding, Sweep{kAfter, 2, 3}>(p);
}

template <class Rounding>
void depthwise(const DepthwiseParams& p) noexcept {
  if (p.size == 5) return depthwise_row<Rounding, Sweep{After::nothing, 1, 5}>(p);
  if (p.tanh_gelu) return depthwise_then<Rounding, After::tanh_gelu>(p);
  p.gelu ? depthwise_then<Rounding, After::gelu>(p) : depthwise_then<Rounding, After::nothing>(p);
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

inline void blend(const BlendParams& p) noexcept {
  const Floats d;
  for (std::int64_t i = 0; i < p.n; i += lanes()) {
    auto v = hn::Mul(hn::LoadU(d, p.from[0] + i), hn::Set(d, p.weights[0]));
    for (int k = 1; k < 4; ++k) v = hn::MulAdd(hn::LoadU(d, p.from[k] + i), hn::Set(d, p.weights[k]), v);
    if (p.base != nullptr) v = hn::Add(v, hn::LoadU(d, p.base + i));
    hn::StoreU(v, d, p.out + i);
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
