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
#include "kernels/encoder/pointwise-inl.h"
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
  constexpr std::int64_t kWidth = kHeads * kHeadChannels;
  for (std::int64_t row = 0; row < p.tokens * kHeads; ++row) {
    const float* column = p.columns + row * p.channels;
    const std::int64_t first = row % kHeads * kHeadChannels;
    for (std::int64_t i = 0; i < kHeadChannels; i += lanes()) {
      // Four sums, so that an addition need not wait for the one before.
      Vec sums[4] = {hn::LoadU(d, p.bias + first + i), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
      for (std::int64_t c = 0; c < p.channels; c += 4) {
        for (std::int64_t k = 0; k < 4; ++k) {
          const auto weight = hn::LoadU(d, p.matrix + (c + k) * kWidth + first + i);
          sums[k] = hn::MulAdd(hn::Set(d, column[c + k]), weight, sums[k]);
        }
      }
      hn::StoreU(hn::Add(hn::Add(sums[0], sums[1]), hn::Add(sums[2], sums[3])), d,
                 p.out + row * kHeadChannels + i);
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
  using T = Step::T;
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

/// A step's numbers of all heads, twice where a vector holds two tokens' columns.
template <class T>
HWY_INLINE Vec head_step_vector(const T* at) {
  const Floats d;
  const auto* numbers = reinterpret_cast<const float*>(at);
#if HWY_TARGET != HWY_SCALAR
  if (lanes() == 2 * kHeads) {
    const auto once = hn::LoadU(hn::Half<Floats>(), numbers);
    return hn::Combine(d, once, once);
  }
#endif
  return hn::LoadU(d, numbers);
}

template <class Step>
HWY_INLINE void head_scores_as(const HeadScoresParams& p) {
  using T = Step::T;
  const Floats d;
  constexpr std::int64_t kWide = Step::kRowsPerStep, kSteps = kHeadChannels / kWide, kWidth = kHeads * kHeadChannels;
  constexpr std::int64_t kRows = 4;  // neighbors, for which a vector of the tokens is read once
  for (std::int64_t row = 0; row < p.rows; row += kRows) {
    const T* image = p.image.at<T>(row);
    for (std::int64_t c = 0; c < p.columns; c += lanes()) {
      const T* tokens = static_cast<const T*>(p.tokens) + c * kWide;
      Vec sums[kRows];
#pragma GCC unroll 4
      for (std::int64_t r = 0; r < kRows; ++r) sums[r] = hn::LoadU(d, p.bias + c);
      for (std::int64_t i = 0; i < kSteps; ++i) {
        const auto token = hn::LoadU(d, reinterpret_cast<const float*>(tokens + i * p.columns * kWide));
#pragma GCC unroll 4
        for (std::int64_t r = 0; r < kRows; ++r) {
          Step::multiply(head_step_vector(image + r * kWidth + (i * kHeads + c % kHeads) * kWide), token, sums[r]);
        }
      }
#pragma GCC unroll 4
      for (std::int64_t r = 0; r < kRows; ++r) hn::StoreU(sums[r], d, p.scores + (row + r) * p.columns + c);
    }
  }
}

template <class Bf16Step>
void head_scores(const HeadScoresParams& p) noexcept {
  p.image.format() == Format::f32 ? head_scores_as<ExactMix>(p) : head_scores_as<Bf16Step>(p);
}

/// A head's channels for kTokens tokens from `token` on.
template <class Step, int kTokens>
HWY_INLINE void mix_heads_tile(const MixHeadsParams& p, std::int64_t token, std::int64_t head) {
  using T = Step::T;
  constexpr std::int64_t kWide = Step::kRowsPerStep, kWidth = kHeads * kHeadChannels;
  const Floats d;
  for (std::int64_t i = 0; i < kHeadChannels; i += lanes()) {
    const T* weights = static_cast<const T*>(p.weights) + (token * kHeads + head) * kWide;
    const T* values = static_cast<const T*>(p.values) + (head * kHeadChannels + i) * kWide;
    Vec sums[kTokens];
#pragma GCC unroll 4
    for (int t = 0; t < kTokens; ++t) sums[t] = hn::Zero(d);
    for (std::int64_t row = 0; row < p.rows; row += kWide) {
#pragma GCC unroll 4
      for (int t = 0; t < kTokens; ++t) {
        Step::add(weights + row * p.columns + t * kHeads * kWide, values + row * kWidth, sums[t]);
      }
    }
#pragma GCC unroll 4
    for (int t = 0; t < kTokens; ++t) {
      hn::StoreU(sums[t], d, p.out + ((token + t) * kHeads + head) * kHeadChannels + i);
    }
  }
}

template <class Step>
HWY_INLINE void mix_heads_as(const MixHeadsParams& p) {
  // Columns are a multiple of kBlock: of four tokens.
  constexpr int kTokens = kBlock / kHeads;
  for (std::int64_t head = 0; head < kHeads; ++head) {
    for (std::int64_t token = 0; token < p.columns / kHeads; token += kTokens) {
      mix_heads_tile<Step, kTokens>(p, token, head);
    }
  }
}

template <class Bf16Step>
void mix_heads(const MixHeadsParams& p) noexcept {
  p.format == Format::f32 ? mix_heads_as<ExactMix>(p) : mix_heads_as<Bf16Step>(p);
}

/// Rows of bf16 as mix reads them; rows even.
inline void pair_rows(const Bf16* in, std::int64_t rows, std::int64_t channels, Bf16* out) noexcept {
  const hn::RebindToUnsigned<Floats> d;
  const hn::Rebind<std::uint16_t, Floats> d16;
  for (std::int64_t row = 0; row < rows; row += 2) {
    const auto* first = reinterpret_cast<const std::uint16_t*>(in + row * channels);
    for (std::int64_t c = 0; c < channels; c += lanes()) {
      const auto low = hn::PromoteTo(d, hn::LoadU(d16, first + c));
      const auto high = hn::ShiftLeft<16>(hn::PromoteTo(d, hn::LoadU(d16, first + channels + c)));
      hn::StoreU(hn::Or(low, high), d, reinterpret_cast<std::uint32_t*>(out + row * channels + 2 * c));
    }
  }
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

/// One vector of channels of two rows of the image, as they are stored, to the operands.
template <class Rounding, Format kFormat>
HWY_INLINE void put_operands(const ImageOperandsParams& p, std::int64_t row, std::int64_t c, Vec first, Vec second) {
  store_as<Rounding, kFormat>(hn::Add(first, load_as<kFormat>(p.positions, row, c)), p.keys, row, c);
  store_as<Rounding, kFormat>(hn::Add(second, load_as<kFormat>(p.positions, row + 1, c)), p.keys, row + 1, c);
  if constexpr (kFormat == Format::bf16) {
    if (p.values != nullptr) store_pairs(first, second, p.values + row * p.keys.channels() + 2 * c);
  }
}

template <class Rounding, Format kFormat>
HWY_INLINE void image_operands_as(const ImageOperandsParams& p) {
  const std::int64_t channels = p.keys.channels();
  for (std::int64_t row = 0; row < p.rows; row += 2) {
    for (std::int64_t c = 0; c < channels; c += lanes()) {
      put_operands<Rounding, kFormat>(p, row, c, load_as<kFormat>(p.image, row, c),
                                      load_as<kFormat>(p.image, row + 1, c));
    }
  }
}

template <class Rounding>
void image_operands(const ImageOperandsParams& p) noexcept {
  p.keys.format() == Format::bf16 ? image_operands_as<Rounding, Format::bf16>(p)
                                  : image_operands_as<Rounding, Format::f32>(p);
}

/// v as it is read again after it was stored in this format.
template <Format kFormat>
HWY_INLINE Vec as_stored(Vec v) {
  return kFormat == Format::bf16 ? hn::BitCast(Floats(), rounded_bits(v)) : v;
}

template <class Rounding, Format kFormat>
HWY_INLINE void normalize_image_as(const NormalizeRowsParams& p, const ImageOperandsParams& operands) {
  static_assert(kNormalizedTogether % 2 == 0);
  const auto put = [&p, &operands](std::int64_t row, std::int64_t c, auto& v) HWY_ATTR {
    constexpr std::int64_t kRows = static_cast<std::int64_t>(sizeof(v) / sizeof(v[0]));
    for (std::int64_t r = 0; r + 2 <= kRows; r += 2) {
      const auto first = as_stored<kFormat>(v[r]), second = as_stored<kFormat>(v[r + 1]);
      store_as<Rounding, kFormat>(first, p.out, row + r, c);
      store_as<Rounding, kFormat>(second, p.out, row + r + 1, c);
      put_operands<Rounding, kFormat>(operands, row + r, c, first, second);
    }
  };
  std::int64_t row = 0;
  for (; row + kNormalizedTogether <= p.rows; row += kNormalizedTogether) {
    normalize_group<kNormalizedTogether>(p, row, put);
  }
  for (; row < p.rows; row += 2) normalize_group<2>(p, row, put);
}

template <class Rounding>
void normalize_image(const NormalizeRowsParams& p, const ImageOperandsParams& operands) noexcept {
  p.out.format() == Format::bf16 ? normalize_image_as<Rounding, Format::bf16>(p, operands)
                                 : normalize_image_as<Rounding, Format::f32>(p, operands);
}

inline void mask_logits(const MaskLogitsParams& p) noexcept {
  const Floats d;
  constexpr std::int64_t kChildren = 4;
  for (std::int64_t mask = 0; mask < p.masks; ++mask) {
    const float* kernel = p.kernels + mask * kBlock;
    const float* child = p.children;
    for (std::int64_t token = 0; token < p.tokens; ++token) {
      float* out = p.out + mask * p.mask_stride + token * kChildren;
      for (std::int64_t i = 0; i < kChildren * kChildren; ++i, child += kBlock) {
        auto sum = hn::Mul(hn::LoadU(d, child), hn::LoadU(d, kernel));
        for (std::int64_t c = lanes(); c < kBlock; c += lanes()) {
          sum = hn::MulAdd(hn::LoadU(d, child + c), hn::LoadU(d, kernel + c), sum);
        }
        const std::int64_t y = i / 8 * 2 + i % 4 / 2, x = i / 4 % 2 * 2 + i % 2;
        out[y * p.row_stride + x] = hn::GetLane(hn::SumOfLanes(d, sum));
      }
    }
  }
}

inline void relu(float* values, std::int64_t n) noexcept {
  const Floats d;
  for (std::int64_t i = 0; i < n; i += lanes()) hn::StoreU(hn::Max(hn::LoadU(d, values + i), hn::Zero(d)), d, values + i);
}

}  // namespace HWY_NAMESPACE
}  // namespace medsam::kernels
HWY_AFTER_NAMESPACE();

#endif
