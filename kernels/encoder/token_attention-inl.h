// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The mask decoder's kernels.
#if defined(MEDSAM_ENCODER_TOKEN_ATTENTION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MEDSAM_ENCODER_TOKEN_ATTENTION_INL_H_
#undef MEDSAM_ENCODER_TOKEN_ATTENTION_INL_H_
#else
#define MEDSAM_ENCODER_TOKEN_ATTENTION_INL_H_
#endif

#include <cmath>
#include <cstring>

#include "hwy/highway.h"
#include "kernels/encoder/block_layout.hpp"
#include "kernels/encoder/encoder_kernels.hpp"
#include "kernels/encoder/rounding-inl.h"
#include "kernels/encoder/token_attention.hpp"

HWY_BEFORE_NAMESPACE();
// NOLINTNEXTLINE(modernize-concat-nested-namespaces): HWY_NAMESPACE names one namespace per target
namespace medsam::kernels {
namespace HWY_NAMESPACE {

template <class Rounding>
void fold_heads(const FoldHeadsParams& p) noexcept {
  const Floats d;
  const std::int64_t channels = p.out.channels();
  for (std::int64_t row = 0; row < score_columns(p.tokens); ++row) {
    const bool padding = row >= p.tokens * kHeads;
    const float* head = p.heads + row * kHeadChannels;
    const float* matrix = p.matrix + row % kHeads * kHeadChannels * channels;
    for (std::int64_t c = 0; c < channels; c += lanes()) {
      auto sum = padding || p.bias == nullptr ? hn::Zero(d) : hn::LoadU(d, p.bias + c);
      for (std::int64_t i = 0; !padding && i < kHeadChannels; ++i) {
        sum = hn::MulAdd(hn::Set(d, head[i]), hn::LoadU(d, matrix + i * channels + c), sum);
      }
      store<Rounding>(sum, p.out, row, c);
    }
  }
}

inline void unfold_heads(const UnfoldHeadsParams& p) noexcept {
  const Floats d;
  for (std::int64_t row = 0; row < p.tokens * kHeads; ++row) {
    const float* column = p.columns + row * p.channels;
    const std::int64_t first = row % kHeads * kHeadChannels;
    for (std::int64_t i = 0; i < kHeadChannels; i += lanes()) {
      // Four sums, so that an addition need not wait for the one before.
      Vec sums[4] = {hn::LoadU(d, p.bias + first + i), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
      for (std::int64_t c = 0; c < p.channels; c += 4) {
        for (std::int64_t k = 0; k < 4; ++k) {
          const auto weight = hn::LoadU(d, p.matrix + (c + k) * kHeadsWidth + first + i);
          sums[k] = hn::MulAdd(hn::Set(d, column[c + k]), weight, sums[k]);
        }
      }
      hn::StoreU(hn::Add(hn::Add(sums[0], sums[1]), hn::Add(sums[2], sums[3])), d, p.out + row * kHeadChannels + i);
    }
  }
}

/// v, combined with itself where a vector holds the heads twice: two tokens' columns.
template <class Combine>
HWY_INLINE Vec over_tokens(Vec v, [[maybe_unused]] const Combine& combine) {
#if HWY_TARGET != HWY_SCALAR
  if (lanes() == 2 * kHeads) return combine(v, hn::ConcatLowerUpper(Floats(), v, v));
#endif
  return v;
}

/// As many columns as a few boxes and points need; of more, exp is computed twice.
constexpr std::int64_t kMostKeptColumns = 512;

template <class Rounding, Format kFor>
HWY_INLINE void soften_heads_as(const SoftenHeadsParams& p) {
  const Floats d;
  const std::int64_t step = lanes() < kHeads ? kHeads : lanes();
  const auto larger = [](Vec a, Vec b) HWY_ATTR { return hn::Max(a, b); };
  const auto sum = [](Vec a, Vec b) HWY_ATTR { return hn::Add(a, b); };
  HWY_ALIGN float weights[kMostKeptColumns];
  for (std::int64_t row = 0; row < p.rows; ++row) {
    const float* scores = p.scores + row * p.columns;
    for (std::int64_t head = 0; head < kHeads; head += lanes()) {
      auto largest = hn::LoadU(d, scores + head);
      for (std::int64_t c = head + step; c < p.columns; c += step) largest = hn::Max(largest, hn::LoadU(d, scores + c));
      largest = over_tokens(largest, larger);
      auto total = hn::Zero(d);
      const bool kept = p.columns <= kMostKeptColumns;
      for (std::int64_t c = head; c < p.columns; c += step) {
        const auto weight = exp_below_zero<kFor>(hn::Sub(hn::LoadU(d, scores + c), largest));
        total = hn::Add(total, weight);
        if (kept) hn::StoreU(weight, d, weights + c);
      }
      const auto scale = hn::Div(hn::Set(d, 1.0F), over_tokens(total, sum));
      for (std::int64_t c = head; c < p.columns; c += step) {
        const auto weight =
            kept ? hn::LoadU(d, weights + c) : exp_below_zero<kFor>(hn::Sub(hn::LoadU(d, scores + c), largest));
        store<Rounding>(hn::Mul(weight, scale), p.out, row, c);
      }
    }
  }
}

template <class Rounding>
void soften_heads(const SoftenHeadsParams& p) noexcept {
  p.out.format() == Format::bf16 ? soften_heads_as<Rounding, Format::bf16>(p)
                                 : soften_heads_as<Rounding, Format::f32>(p);
}

/// Two rows' numbers as pairs of bf16, the first in the lower half.
HWY_INLINE void store_pairs(Vec first, Vec second, Bf16* out) {
  const hn::RebindToUnsigned<Floats> du;
  const auto pairs = hn::Or(hn::ShiftRight<16>(rounded_bits(first)), rounded_bits(second));
  hn::StoreU(pairs, du, reinterpret_cast<std::uint32_t*>(out));
}

template <Format kFor>
HWY_INLINE void soften_columns_as(const SoftenColumnsParams& p) {
  const Floats d;
  for (std::int64_t c = 0; c < p.columns; c += lanes()) {
    const float* scores = p.scores + c;
    Vec largest[2] = {hn::LoadU(d, scores), hn::LoadU(d, scores + p.columns)};
    for (std::int64_t row = 2; row < p.rows; row += 2) {
      largest[0] = hn::Max(largest[0], hn::LoadU(d, scores + row * p.columns));
      largest[1] = hn::Max(largest[1], hn::LoadU(d, scores + (row + 1) * p.columns));
    }
    const auto top = hn::Max(largest[0], largest[1]);
    Vec sums[2] = {hn::Zero(d), hn::Zero(d)};
    for (std::int64_t row = 0; row < p.rows; row += 2) {
      const float* at = scores + row * p.columns;
      const auto first = exp_below_zero<kFor>(hn::Sub(hn::LoadU(d, at), top));
      const auto second = exp_below_zero<kFor>(hn::Sub(hn::LoadU(d, at + p.columns), top));
      sums[0] = hn::Add(sums[0], first);
      sums[1] = hn::Add(sums[1], second);
      if constexpr (kFor == Format::bf16) {
        store_pairs(first, second, static_cast<Bf16*>(p.weights) + row * p.columns + 2 * c);
      } else {
        float* out = static_cast<float*>(p.weights) + row * p.columns + c;
        hn::StoreU(first, d, out);
        hn::StoreU(second, d, out + p.columns);
      }
    }
    hn::StoreU(top, d, p.largest + c);
    hn::StoreU(hn::Add(sums[0], sums[1]), d, p.sums + c);
  }
}

inline void soften_columns(const SoftenColumnsParams& p) noexcept {
  p.format == Format::bf16 ? soften_columns_as<Format::bf16>(p) : soften_columns_as<Format::f32>(p);
}

/// One step of mix in f32: a row of the image.
struct ExactMix {
  using T = float;
  static constexpr std::int64_t kRowsPerStep = 1;
  static HWY_INLINE void add(const float* weight, const float* values, Vec& sum) {
    sum = hn::MulAdd(hn::Set(Floats(), *weight), hn::LoadU(Floats(), values), sum);
  }
  static HWY_INLINE void multiply(Vec a, Vec b, Vec& sum) { sum = hn::MulAdd(a, b, sum); }
};

/// A pair of rows, on any processor.
struct WidenedMix {
  using T = Bf16;
  static constexpr std::int64_t kRowsPerStep = 2;
  static HWY_INLINE void add(const Bf16* weight, const Bf16* values, Vec& sum) {
    const Floats d;
    const hn::RebindToUnsigned<Floats> du;
    const auto pairs = hn::LoadU(du, reinterpret_cast<const std::uint32_t*>(values));
    const auto first = hn::BitCast(d, hn::ShiftLeft<16>(pairs));
    const auto second = hn::BitCast(d, hn::And(pairs, hn::Set(du, 0xFFFF0000U)));
    sum = hn::MulAdd(hn::Set(d, widened(weight[0])), first, sum);
    sum = hn::MulAdd(hn::Set(d, widened(weight[1])), second, sum);
  }
  /// Of pairs, as they lie in memory.
  static HWY_INLINE void multiply(Vec a, Vec b, Vec& sum) {
    const Floats d;
    const hn::RebindToUnsigned<Floats> du;
    const auto a_bits = hn::BitCast(du, a), b_bits = hn::BitCast(du, b), upper = hn::Set(du, 0xFFFF0000U);
    sum = hn::MulAdd(hn::BitCast(d, hn::ShiftLeft<16>(a_bits)), hn::BitCast(d, hn::ShiftLeft<16>(b_bits)), sum);
    sum = hn::MulAdd(hn::BitCast(d, hn::And(a_bits, upper)), hn::BitCast(d, hn::And(b_bits, upper)), sum);
  }
};

#if MEDSAM_ENCODER_AVX512
/// A pair of rows, by AVX512_BF16's instruction.
struct DotMix {
  using T = Bf16;
  static constexpr std::int64_t kRowsPerStep = 2;
  static HWY_INLINE void add(const Bf16* weight, const Bf16* values, Vec& sum) {
    int both;
    std::memcpy(&both, weight, sizeof both);
    Native::dot(_mm512_set1_epi32(both), _mm512_loadu_si512(values), sum.raw);
  }
  static HWY_INLINE void multiply(Vec a, Vec b, Vec& sum) {
    Native::dot(_mm512_castps_si512(a.raw), _mm512_castps_si512(b.raw), sum.raw);
  }
};
#endif

/// kColumns columns of the weights with two vectors of channels: sums stay in registers.
template <class Step, int kColumns>
HWY_INLINE void mix_tile(const MixParams& p, std::int64_t column, std::int64_t channel) {
  using T = typename Step::T;
  constexpr std::int64_t kWide = Step::kRowsPerStep;
  const Floats d;
  const T* weights = static_cast<const T*>(p.weights) + column * kWide;
  const T* values = static_cast<const T*>(p.values) + channel * kWide;
  const std::int64_t step = lanes();
  Vec left[kColumns], right[kColumns];
#pragma GCC unroll 8
  for (int i = 0; i < kColumns; ++i) left[i] = right[i] = hn::Zero(d);
  for (std::int64_t row = 0; row < p.rows; row += kWide) {
    const T* weight = weights + row * p.columns;
    const T* value = values + row * p.channels;
#pragma GCC unroll 8
    for (int i = 0; i < kColumns; ++i) {
      Step::add(weight + i * kWide, value, left[i]);
      Step::add(weight + i * kWide, value + step * kWide, right[i]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < kColumns; ++i) {
    hn::StoreU(left[i], d, p.out + (column + i) * p.channels + channel);
    hn::StoreU(right[i], d, p.out + (column + i) * p.channels + channel + step);
  }
}

template <class Step>
HWY_INLINE void mix_as(const MixParams& p) {
  // 16 sums of the 32 registers, or 8 of 16; columns are a multiple of kBlock. The channels' slice of the values stays
  // in the first-level cache for all columns.
  constexpr int kColumns = HWY_TARGET <= HWY_AVX3 ? 8 : 4;
  for (std::int64_t channel = 0; channel < p.channels; channel += 2 * lanes()) {
    for (std::int64_t column = 0; column < p.columns; column += kColumns) mix_tile<Step, kColumns>(p, column, channel);
  }
}

template <class Bf16Step>
void mix(const MixParams& p) noexcept {
  p.format == Format::f32 ? mix_as<ExactMix>(p) : mix_as<Bf16Step>(p);
}

inline void merge(const MergeParams& p) noexcept {
  const Floats d;
  for (std::int64_t column = 0; column < p.columns; ++column) {
    float largest = p.largest[column];
    for (std::int64_t i = 1; i < p.pieces; ++i) {
      if (p.largest[i * p.columns + column] > largest) largest = p.largest[i * p.columns + column];
    }
    float* out = p.out + column * p.channels;
    float total = 0;
    for (std::int64_t i = 0; i < p.pieces; ++i) {
      const std::int64_t at = i * p.columns + column;
      const float weight = std::exp(p.largest[at] - largest);
      const float* mixed = p.mixed + at * p.channels;
      total += weight * p.sums[at];
      for (std::int64_t c = 0; c < p.channels; c += lanes()) {
        const auto before = i == 0 ? hn::Zero(d) : hn::LoadU(d, out + c);
        hn::StoreU(hn::MulAdd(hn::Set(d, weight), hn::LoadU(d, mixed + c), before), d, out + c);
      }
    }
    const auto scale = hn::Set(d, 1.0F / total);
    for (std::int64_t c = 0; c < p.channels; c += lanes()) {
      hn::StoreU(hn::Mul(hn::LoadU(d, out + c), scale), d, out + c);
    }
  }
}

inline void relu(float* values, std::int64_t n) noexcept {
  const Floats d;
  for (std::int64_t i = 0; i < n; i += lanes())
    hn::StoreU(hn::Max(hn::LoadU(d, values + i), hn::Zero(d)), d, values + i);
}

}  // namespace HWY_NAMESPACE
}  // namespace medsam::kernels
HWY_AFTER_NAMESPACE();

#endif
