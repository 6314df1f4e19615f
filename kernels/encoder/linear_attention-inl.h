// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Attention whose kernel is ReLU: a matrix of a head's keys and values, which every query is multiplied with. Its sums
// over all tokens stay f32, whatever the products around it are: they are what overflows in f16.
#if defined(MEDSAM_ENCODER_LINEAR_ATTENTION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MEDSAM_ENCODER_LINEAR_ATTENTION_INL_H_
#undef MEDSAM_ENCODER_LINEAR_ATTENTION_INL_H_
#else
#define MEDSAM_ENCODER_LINEAR_ATTENTION_INL_H_
#endif

#include "hwy/highway.h"
#include "kernels/encoder/block_layout.hpp"
#include "kernels/encoder/encoder_kernels.hpp"
#include "kernels/encoder/rounding-inl.h"

HWY_BEFORE_NAMESPACE();
// NOLINTNEXTLINE(modernize-concat-nested-namespaces): HWY_NAMESPACE names one namespace per target
namespace medsam::kernels {
namespace HWY_NAMESPACE {

/// What all queries of a head are multiplied with.
struct KeySums {
  HWY_ALIGN float values[kBlock * kBlock];  // (channel of the key, channel of the value): sum of k v^T
  HWY_ALIGN float weights[kBlock];          // sum of k
};

/// Rows of sums that stay in registers beside two vectors of columns, as in multiply_exact.
constexpr std::int64_t kSumRows = HWY_TARGET <= HWY_AVX3 ? 8 : 4;

HWY_INLINE void sum_keys(const LinearAttentionParams& p, KeySums& sums) {
  const Floats d;
  const std::int64_t step = lanes();
  const auto zero = hn::Zero(d);
  for (std::int64_t c = 0; c < kBlock; c += 2 * step) {
    for (std::int64_t first = 0; first < kBlock; first += kSumRows) {
      Vec left[kSumRows], right[kSumRows];
      for (std::int64_t r = 0; r < kSumRows; ++r) left[r] = right[r] = zero;
      for (std::int64_t t = 0; t < p.tokens; ++t) {
        const float *key = p.qkv + (3 * t + 1) * kBlock + first, *value = p.qkv + (3 * t + 2) * kBlock + c;
        const auto v0 = hn::LoadU(d, value), v1 = hn::LoadU(d, value + step);
#pragma GCC unroll 8
        for (std::int64_t r = 0; r < kSumRows; ++r) {
          const auto k = hn::Max(hn::Set(d, key[r]), zero);
          left[r] = hn::MulAdd(k, v0, left[r]);
          right[r] = hn::MulAdd(k, v1, right[r]);
        }
      }
      for (std::int64_t r = 0; r < kSumRows; ++r) {
        hn::Store(left[r], d, sums.values + (first + r) * kBlock + c);
        hn::Store(right[r], d, sums.values + (first + r) * kBlock + c + step);
      }
    }
  }
  for (std::int64_t c = 0; c < kBlock; c += step) {
    auto total = zero;
    for (std::int64_t t = 0; t < p.tokens; ++t) {
      total = hn::Add(total, hn::Max(hn::LoadU(d, p.qkv + (3 * t + 1) * kBlock + c), zero));
    }
    hn::Store(total, d, sums.weights + c);
  }
}

/// The sum of a query's weights.
HWY_INLINE float weight_of(const float* query, const KeySums& sums) {
  const Floats d;
  auto total = hn::Zero(d);
  for (std::int64_t c = 0; c < kBlock; c += lanes()) {
    total = hn::MulAdd(hn::Max(hn::LoadU(d, query + c), hn::Zero(d)), hn::Load(d, sums.weights + c), total);
  }
  return hn::GetLane(hn::SumOfLanes(d, total));
}

template <class Rounding, std::int64_t kRows>
HWY_INLINE void attend_queries(const LinearAttentionParams& p, const KeySums& sums, std::int64_t first) {
  const Floats d;
  const std::int64_t step = lanes();
  const auto zero = hn::Zero(d);
  const float* queries = p.qkv + 3 * first * kBlock;
  float weights[kRows];
  for (std::int64_t r = 0; r < kRows; ++r) weights[r] = weight_of(queries + 3 * r * kBlock, sums) + p.eps;
  for (std::int64_t c = 0; c < kBlock; c += 2 * step) {
    Vec left[kRows], right[kRows];
    for (std::int64_t r = 0; r < kRows; ++r) left[r] = right[r] = zero;
    for (std::int64_t k = 0; k < kBlock; ++k) {
      const auto v0 = hn::Load(d, sums.values + k * kBlock + c), v1 = hn::Load(d, sums.values + k * kBlock + c + step);
#pragma GCC unroll 8
      for (std::int64_t r = 0; r < kRows; ++r) {
        const auto q = hn::Max(hn::Set(d, queries[3 * r * kBlock + k]), zero);
        left[r] = hn::MulAdd(q, v0, left[r]);
        right[r] = hn::MulAdd(q, v1, right[r]);
      }
    }
    for (std::int64_t r = 0; r < kRows; ++r) {
      const auto weight = hn::Set(d, weights[r]);
      store<Rounding>(hn::Div(left[r], weight), p.out, first + r, c);
      store<Rounding>(hn::Div(right[r], weight), p.out, first + r, c + step);
    }
  }
}

template <class Rounding>
void linear_attention(const LinearAttentionParams& p) noexcept {
  KeySums sums;
  sum_keys(p, sums);
  for_row_pieces<kSumRows>(
      p.tokens, [&](std::int64_t row, auto rows) HWY_ATTR { attend_queries<Rounding, rows()>(p, sums, row); });
}

}  // namespace HWY_NAMESPACE
}  // namespace medsam::kernels
HWY_AFTER_NAMESPACE();

#endif
