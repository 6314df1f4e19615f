// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Attention between prompt tokens and an image that has been projected to heads.
#if defined(MEDSAM_ENCODER_PROJECTED_IMAGE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MEDSAM_ENCODER_PROJECTED_IMAGE_INL_H_
#undef MEDSAM_ENCODER_PROJECTED_IMAGE_INL_H_
#else
#define MEDSAM_ENCODER_PROJECTED_IMAGE_INL_H_
#endif

#include "hwy/highway.h"
#include "kernels/encoder/token_attention-inl.h"

HWY_BEFORE_NAMESPACE();
// NOLINTNEXTLINE(modernize-concat-nested-namespaces): HWY_NAMESPACE names one namespace per target
namespace medsam::kernels {
namespace HWY_NAMESPACE {

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
  using T = typename Step::T;
  const Floats d;
  constexpr std::int64_t kWide = Step::kRowsPerStep, kSteps = kHeadChannels / kWide;
  constexpr std::int64_t kRows = 4;  // neighbors, for which a vector of the tokens is read once
  for (std::int64_t row = 0; row < p.rows; row += kRows) {
    const T* image = p.image.at<T>(row);
    for (std::int64_t c = 0; c < p.columns; c += lanes()) {
      const T* tokens = static_cast<const T*>(p.tokens) + c * kWide;
      Vec sums[kRows];
#pragma GCC unroll 4
      for (auto& sum : sums) sum = hn::LoadU(d, p.bias + c);
      for (std::int64_t i = 0; i < kSteps; ++i) {
        const auto token = hn::LoadU(d, reinterpret_cast<const float*>(tokens + i * p.columns * kWide));
#pragma GCC unroll 4
        for (std::int64_t r = 0; r < kRows; ++r) {
          Step::multiply(head_step_vector(image + r * kHeadsWidth + (i * kHeads + c % kHeads) * kWide), token, sums[r]);
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
  using T = typename Step::T;
  constexpr std::int64_t kWide = Step::kRowsPerStep;
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
        Step::add(weights + row * p.columns + t * kHeads * kWide, values + row * kHeadsWidth, sums[t]);
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

}  // namespace HWY_NAMESPACE
}  // namespace medsam::kernels
HWY_AFTER_NAMESPACE();

#endif
