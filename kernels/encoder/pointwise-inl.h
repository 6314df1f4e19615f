// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What lies between the products: GELU, rounding, the products' epilogue, depthwise convolution, layer norm.
#if defined(MEDSAM_ENCODER_POINTWISE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MEDSAM_ENCODER_POINTWISE_INL_H_
#undef MEDSAM_ENCODER_POINTWISE_INL_H_
#else
#define MEDSAM_ENCODER_POINTWISE_INL_H_
#endif

#include "hwy/highway.h"
#include "kernels/encoder/encoder_kernels.hpp"

HWY_BEFORE_NAMESPACE();
namespace medsam::kernels {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Vec = hn::Vec<Floats>;

inline std::int64_t lanes() { return static_cast<std::int64_t>(hn::Lanes(Floats())); }

/// x Phi(x), Phi the normal distribution (Hendrycks, Gimpel, arXiv 1606.08415): Phi(x) = 1/2 + x P(x^2) on [-c, c], P a
/// minimax polynomial, and Phi(c) or Phi(-c) beyond. For an f32 c = 5 and P of degree 12: the error is at most
/// 3e-7 max(1, |x|). For one bf16 term, which is 2e-3 from its neighbours, c = 4 and P of degree 8: 3.3e-5 max(1, |x|).
template <bool kOneTerm>
HWY_INLINE Vec gelu(Vec x) {
  const Floats d;
  static constexpr float kExact[] = {0.00060872728F, -0.0016132651F, 0.0017227995F, -0.002685575F, 0.0064105103F,
                                     -0.011164339F,  0.016402174F,   -0.023268653F, 0.031442173F,  -0.040442608F,
                                     0.051520523F,   -0.07029628F,   0.14136378F};
  static constexpr float kShort[] = {0.0013528184F, -0.0038647994F, 0.0062699416F, -0.011736369F, 0.022431357F,
                                     -0.037054434F, 0.055954594F,   -0.08430922F,  0.17594919F};
  constexpr float kLimit = kOneTerm ? 4.0F : 5.0F;
  constexpr std::size_t kCount = kOneTerm ? sizeof kShort / sizeof(float) : sizeof kExact / sizeof(float);
  constexpr const float* kCoefficients = kOneTerm ? kShort : kExact;
  const auto z = hn::Min(hn::Max(x, hn::Set(d, -kLimit)), hn::Set(d, kLimit));
  const auto u = hn::MulAdd(hn::Mul(z, hn::Set(d, 2 / (kLimit * kLimit))), z, hn::Set(d, -1.0F));
  auto p = hn::Set(d, kCoefficients[0]);
  for (std::size_t i = 1; i < kCount; ++i) p = hn::MulAdd(p, u, hn::Set(d, kCoefficients[i]));
  return hn::Mul(x, hn::MulAdd(z, p, hn::Set(d, 0.5F)));
}

/// The bits of v rounded to bf16, halves to even, below zeros; v is finite, or a NaN as arithmetic makes it.
HWY_INLINE hn::Vec<hn::RebindToUnsigned<Floats>> rounded_bits(Vec v) {
  const hn::RebindToUnsigned<Floats> du;
  const auto bits = hn::BitCast(du, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1U));
  return hn::And(hn::Add(hn::Add(bits, hn::Set(du, 0x7FFFU)), odd), hn::Set(du, 0xFFFF0000U));
}

/// Stores a vector in one bf16 term, or with low_offset in two.
HWY_INLINE void store_rounded(Vec v, Bf16* out, std::int64_t low_offset) {
  const Floats d;
  const hn::Rebind<std::uint16_t, Floats> d16;
  const auto high = rounded_bits(v);
  hn::StoreU(hn::TruncateTo(d16, hn::ShiftRight<16>(high)), d16, out);
  if (low_offset == 0) return;
  const auto low = rounded_bits(hn::Sub(v, hn::BitCast(d, high)));
  hn::StoreU(hn::TruncateTo(d16, hn::ShiftRight<16>(low)), d16, out + low_offset);
}

/// What becomes of a block's sums.
struct Finish {
  bool gelu, residual, gelu_after, one_term;
};

template <Finish kFinish>
HWY_INLINE void finish_block(const ProductParams& p, const float* sums, std::int64_t row, std::int64_t rows,
                             std::int64_t column) {
  const Floats d;
  for (std::int64_t c = 0; c < kBlock; c += lanes()) {
    const auto bias = p.bias == nullptr ? hn::Zero(d) : hn::LoadU(d, p.bias + column + c);
    for (std::int64_t r = 0; r < rows; ++r) {
      auto v = hn::Add(hn::Load(d, sums + r * kBlock + c), bias);
      if constexpr (kFinish.gelu) v = gelu<kFinish.one_term>(v);
      const std::int64_t at = row + r;
      if constexpr (kFinish.residual) v = hn::Add(v, hn::LoadU(d, p.residual + at * p.residual_stride + column + c));
      if constexpr (kFinish.gelu_after) v = gelu<kFinish.one_term>(v);
      if (p.out != nullptr) hn::StoreU(v, d, p.out + at * p.out_stride + column + c);
      if (p.rounded != nullptr) store_rounded(v, p.rounded + at * p.rounded_stride + column + c, p.low_offset);
    }
  }
}

/// Rows of the left operand that are multiplied with all of the right one before the next: as many as stay in half of
/// the first-level cache, while the right operand comes from the second.
inline std::int64_t panel_rows(std::int64_t stride) {
  constexpr std::int64_t kPanelBytes = 24 << 10;
  const std::int64_t rows = kPanelBytes / (stride * static_cast<std::int64_t>(sizeof(Bf16))) / kBlock * kBlock;
  return rows > kBlock ? rows : kBlock;
}

template <Finish kFinish>
void product_as(const ProductParams& p, const BlockProduct& blocks) {
  HWY_ALIGN float sums[kBlock * kBlock];
  const auto count = static_cast<std::int64_t>(p.b->chunks.size());
  const std::int64_t panel = panel_rows(p.a_stride);
  blocks.begin();
  for (std::int64_t first = 0; first < p.rows; first += panel) {
    const std::int64_t last = p.rows < first + panel ? p.rows : first + panel;
    for (std::int64_t column = 0; column < p.b->out; column += kBlock) {
      const Bf16* b = p.b->data.data() + column * count * kBlock;
      for (std::int64_t row = first; row < last; row += kBlock) {
        const std::int64_t rows = last - row < kBlock ? last - row : kBlock;
        blocks.multiply({p.a + row * p.a_stride, p.a_stride, p.b->chunks.data(), count, b, rows, sums});
        finish_block<kFinish>(p, sums, row, rows, column);
      }
    }
  }
  blocks.end();
}

inline void product(const ProductParams& p, const BlockProduct& blocks) noexcept {
  const bool one_term = p.rounded != nullptr && p.low_offset == 0 && p.out == nullptr;
  if (p.residual != nullptr) {
    return p.gelu_after ? product_as<Finish{false, true, true, false}>(p, blocks)
                        : product_as<Finish{false, true, false, false}>(p, blocks);
  }
  if (!p.gelu) return product_as<Finish{false, false, false, false}>(p, blocks);
  return one_term ? product_as<Finish{true, false, false, true}>(p, blocks)
                  : product_as<Finish{true, false, false, false}>(p, blocks);
}

/// kOutputs neighbouring pixels of the output, all channels: a column of the image is read once for those it is part
/// of. Where kInside is false, rows and columns outside the image are zeros.
template <bool kGelu, std::int64_t kStride, std::int64_t kOutputs, bool kInside>
HWY_INLINE void depthwise_pixels(const DepthwiseParams& p, std::int64_t first) {
  const Floats d;
  constexpr std::int64_t kColumns = (kOutputs - 1) * kStride + 3;
  const std::int64_t left = first * kStride - 1;
  const bool one_term = p.out == nullptr && p.low_offset == 0;
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
      if constexpr (kGelu) sum = one_term ? gelu<true>(sum) : gelu<false>(sum);
      if (p.out != nullptr) hn::StoreU(sum, d, p.out + (first + i) * p.channels + c);
      if (p.rounded != nullptr) store_rounded(sum, p.rounded + (first + i) * p.rounded_stride + c, p.low_offset);
    }
  }
}

template <bool kGelu, std::int64_t kStride>
void depthwise_row(const DepthwiseParams& p) {
  constexpr std::int64_t kOutputs = 4;
  const std::int64_t outputs = (p.width + kStride - 1) / kStride;
  const bool rows_inside = p.rows[0] != nullptr && p.rows[2] != nullptr;
  std::int64_t x = 0;
  if (outputs > 0) depthwise_pixels<kGelu, kStride, 1, false>(p, x++);
  if (rows_inside) {
    // The last of these reads columns up to (x + kOutputs - 1) * kStride + 1.
    for (; (x + kOutputs - 1) * kStride + 1 < p.width && x + kOutputs <= outputs; x += kOutputs) {
      depthwise_pixels<kGelu, kStride, kOutputs, true>(p, x);
    }
  }
  for (; x < outputs; ++x) depthwise_pixels<kGelu, kStride, 1, false>(p, x);
}

inline void depthwise(const DepthwiseParams& p) noexcept {
  if (p.stride == 1) {
    p.gelu ? depthwise_row<true, 1>(p) : depthwise_row<false, 1>(p);
  } else {
    p.gelu ? depthwise_row<true, 2>(p) : depthwise_row<false, 2>(p);
  }
}

inline void normalize_rows(const NormalizeRowsParams& p) noexcept {
  const Floats d;
  for (std::int64_t row = 0; row < p.rows; ++row) {
    const float* in = p.in + row * p.channels;
    auto total = hn::Zero(d), squares = hn::Zero(d);
    for (std::int64_t c = 0; c < p.channels; c += lanes()) total = hn::Add(total, hn::LoadU(d, in + c));
    const auto count = static_cast<float>(p.channels);
    const auto mean = hn::Set(d, hn::GetLane(hn::SumOfLanes(d, total)) / count);
    for (std::int64_t c = 0; c < p.channels; c += lanes()) {
      const auto difference = hn::Sub(hn::LoadU(d, in + c), mean);
      squares = hn::MulAdd(difference, difference, squares);
    }
    const float variance = hn::GetLane(hn::SumOfLanes(d, squares)) / count;
    const auto scale = hn::Div(hn::Set(d, 1.0F), hn::Sqrt(hn::Set(d, variance + p.eps)));
    for (std::int64_t c = 0; c < p.channels; c += lanes()) {
      auto v = hn::Mul(hn::Sub(hn::LoadU(d, in + c), mean), scale);
      if (p.weight != nullptr) v = hn::MulAdd(v, hn::LoadU(d, p.weight + c), hn::LoadU(d, p.bias + c));
      if (p.out != nullptr) hn::StoreU(v, d, p.out + row * p.channels + c);
      if (p.rounded != nullptr) store_rounded(v, p.rounded + row * p.rounded_stride + c, p.low_offset);
    }
  }
}

inline void round(const float* in, Bf16* out, std::int64_t low_offset, std::int64_t n) noexcept {
  for (std::int64_t i = 0; i < n; i += lanes()) store_rounded(hn::LoadU(Floats(), in + i), out + i, low_offset);
}

inline void add(const float* from, float* to, std::int64_t n) noexcept {
  const Floats d;
  for (std::int64_t i = 0; i < n; i += lanes()) {
    hn::StoreU(hn::Add(hn::LoadU(d, from + i), hn::LoadU(d, to + i)), d, to + i);
  }
}

inline void expand_planes(const float* const* planes, std::int64_t count, std::int64_t n, const float* weight,
                          const float* bias, std::int64_t channels, Bf16* out, std::int64_t out_stride,
                          std::int64_t low_offset) noexcept {
  const Floats d;
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t c = 0; c < channels; c += lanes()) {
      auto v = hn::LoadU(d, bias + c);
      for (std::int64_t p = 0; p < count; ++p) {
        v = hn::MulAdd(hn::Set(d, planes[p][i]), hn::LoadU(d, weight + p * channels + c), v);
      }
      store_rounded(gelu<false>(v), out + i * out_stride + c, low_offset);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace medsam::kernels
HWY_AFTER_NAMESPACE();

#endif
