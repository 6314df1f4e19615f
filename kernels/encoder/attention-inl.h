// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Attention of one window: scores, softmax and weighted values, 32 queries at a time, so that scores never leave L1.
#if defined(MEDSAM_ENCODER_ATTENTION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MEDSAM_ENCODER_ATTENTION_INL_H_
#undef MEDSAM_ENCODER_ATTENTION_INL_H_
#else
#define MEDSAM_ENCODER_ATTENTION_INL_H_
#endif

#include <cstring>
#include <limits>

#include "hwy/highway.h"
#include "kernels/encoder/attention_buffers.hpp"
#include "kernels/encoder/encoder_kernels.hpp"
#include "kernels/encoder/pointwise-inl.h"

HWY_BEFORE_NAMESPACE();
namespace medsam::kernels {
namespace HWY_NAMESPACE {

/// 2^(x log2(e)) for x <= 0; 0 below -87. The polynomial of degree 4 is minimax on [-1/2, 1/2], relative error 2.6e-6.
HWY_INLINE Vec exp_below_zero(Vec x) {
  const Floats d;
  const hn::RebindToSigned<Floats> di;
  const auto t = hn::Mul(hn::Max(x, hn::Set(d, -87.0F)), hn::Set(d, 1.442695041F));
  const auto n = hn::Round(t);
  const auto f = hn::Sub(t, n);
  auto p = hn::Set(d, 0.0095701013F);
  p = hn::MulAdd(p, f, hn::Set(d, 0.055917859F));
  p = hn::MulAdd(p, f, hn::Set(d, 0.24024744F));
  p = hn::MulAdd(p, f, hn::Set(d, 0.69312179F));
  p = hn::MulAdd(p, f, hn::Set(d, 0.99999928F));
  const auto scale = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(hn::ConvertTo(di, n), hn::Set(di, 127))));
  return hn::IfThenElseZero(hn::Ge(x, hn::Set(d, -87.0F)), hn::Mul(p, scale));
}

/// exp(scores + bias - the largest of them) in bf16; returns the sum of what was stored. `blocks` holds the scores of
/// 32 keys after the other, (key_stride / 32, 32, 32); `scores` is a row of memory.
HWY_INLINE float soften(const float* blocks, const float* bias, std::int64_t key_stride, float* scores, Bf16* weights) {
  const Floats d;
  auto largest = hn::Set(d, -std::numeric_limits<float>::infinity());
  for (std::int64_t key = 0; key < key_stride; key += kBlock) {
    for (std::int64_t c = 0; c < kBlock; c += lanes()) {
      const auto v = hn::Add(hn::Load(d, blocks + key * kBlock + c), hn::LoadU(d, bias + key + c));
      largest = hn::Max(largest, v);
      hn::Store(v, d, scores + key + c);
    }
  }
  const auto top = hn::MaxOfLanes(d, largest);
  auto total = hn::Zero(d);
  for (std::int64_t key = 0; key < key_stride; key += lanes()) {
    const auto e = hn::BitCast(d, rounded_bits(exp_below_zero(hn::Sub(hn::Load(d, scores + key), top))));
    total = hn::Add(total, e);
    store_rounded(e, weights + key, 0);
  }
  return hn::GetLane(hn::SumOfLanes(d, total));
}

/// Row `key` of the keys or values of a head; `padding` after the tokens' own, null past the last.
inline const Bf16* key_row(const AttentionParams& p, std::int64_t key, std::int64_t part, std::int64_t head) {
  const std::int64_t width = p.heads * kBlock;
  if (key < p.tokens) return p.qkv + key * 3 * width + part * width + head * kBlock;
  if (key == p.tokens && p.padding != nullptr) return p.padding + (part - 1) * width + head * kBlock;
  return nullptr;
}

/// Both operands are packed as pack_matrix does: tiles of 16 pairs of rows, 16 columns.
inline void pack_keys_values(const AttentionParams& p, std::int64_t head, const AttentionBuffers& buffers) {
  constexpr std::int64_t kHalf = kBlock / 2;
  static const Bf16 kZeros[kBlock] = {};
  for (std::int64_t key = 0; key < p.key_stride; ++key) {
    const Bf16* row = key_row(p, key, 1, head);
    if (row == nullptr) row = kZeros;
    // Key as a column: its pairs of channels are rows of the tile.
    Bf16* to = buffers.keys + key / kHalf * kHalf * kBlock + key % kHalf * 2;
    for (std::int64_t pair = 0; pair < kHalf; ++pair) std::memcpy(to + pair * kBlock, row + 2 * pair, 4);
  }
  for (std::int64_t key = 0; key < p.key_stride; key += 2) {
    const Bf16* first = key_row(p, key, 2, head);
    const Bf16* second = key_row(p, key + 1, 2, head);
    if (first == nullptr) first = kZeros;
    if (second == nullptr) second = kZeros;
    Bf16* to = buffers.values + key / kBlock * kBlock * kBlock + key % kBlock * kHalf;
    for (std::int64_t c = 0; c < kBlock; ++c) {
      Bf16* element = to + c / kHalf * kHalf * kBlock + c % kHalf * 2;
      element[0] = first[c];
      element[1] = second[c];
    }
  }
}

inline void attend_rows(const AttentionParams& p, std::int64_t head, std::int64_t row, const AttentionBuffers& buffers,
                        const BlockProduct& blocks) {
  const Floats d;
  HWY_ALIGN float block[kBlock * kBlock];
  const std::int64_t width = p.heads * kBlock;
  const std::int64_t rows = p.tokens - row < kBlock ? p.tokens - row : kBlock;
  const Bf16* queries = p.qkv + row * 3 * width + head * kBlock;
  const std::int64_t whole = 0;
  for (std::int64_t key = 0; key < p.key_stride; key += kBlock) {
    float* scores = buffers.blocks + key * kBlock;
    blocks.multiply({queries, 3 * width, &whole, 1, buffers.keys + key * kBlock, rows, scores});
  }
  float totals[kBlock];
  for (std::int64_t r = 0; r < rows; ++r) {
    const float* bias = p.bias + (head * p.tokens + row + r) * p.key_stride;
    totals[r] =
        soften(buffers.blocks + r * kBlock, bias, p.key_stride, buffers.scores, buffers.weights + r * p.key_stride);
  }
  blocks.multiply({buffers.weights, p.key_stride, buffers.chunks, p.key_stride / kBlock, buffers.values, rows, block});
  for (std::int64_t r = 0; r < rows; ++r) {
    const auto scale = hn::Set(d, 1.0F / totals[r]);
    Bf16* out = p.out + (row + r) * width + head * kBlock;
    for (std::int64_t c = 0; c < kBlock; c += lanes()) {
      store_rounded(hn::Mul(hn::Load(d, block + r * kBlock + c), scale), out + c, 0);
    }
  }
}

inline void attention(const AttentionParams& p, const BlockProduct& blocks) noexcept {
  Scratch scratch(p.scratch);
  const AttentionBuffers buffers = take_attention_buffers(p.key_stride, scratch);
  for (std::int64_t i = 0; i < p.key_stride / kBlock; ++i) buffers.chunks[i] = i * kBlock;
  blocks.begin();
  for (std::int64_t head = 0; head < p.heads; ++head) {
    pack_keys_values(p, head, buffers);
    for (std::int64_t row = 0; row < p.tokens; row += kBlock) attend_rows(p, head, row, buffers, blocks);
  }
  blocks.end();
}

}  // namespace HWY_NAMESPACE
}  // namespace medsam::kernels
HWY_AFTER_NAMESPACE();

#endif
