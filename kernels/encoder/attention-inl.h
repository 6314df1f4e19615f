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
#include "kernels/encoder/product-inl.h"

HWY_BEFORE_NAMESPACE();
// NOLINTNEXTLINE(modernize-concat-nested-namespaces): HWY_NAMESPACE names one namespace per target
namespace medsam::kernels {
namespace HWY_NAMESPACE {

/// What differs between operands: how they are packed, multiplied and stored.
template <class Way>
struct Bf16Attention {
  using T = Bf16;

  static HWY_INLINE void multiply(const BlockParams<Bf16>& p) { Way::Blocks::multiply(p); }
  static HWY_INLINE void store(Vec v, Bf16* out) { Way::Rounding::store(v, out); }

  /// A key as a column of its block: pairs of its channels are rows of the tile.
  static HWY_INLINE void pack_key(const Bf16* row, std::int64_t key, Bf16* keys) {
    Bf16* to = keys + key / kTile * kTile * kBlock + key % kTile * 2;
    for (std::int64_t pair = 0; pair < kTile; ++pair) std::memcpy(to + pair * kBlock, row + 2 * pair, 4);
  }

  static HWY_INLINE void pack_values(const Bf16* first, const Bf16* second, std::int64_t key, Bf16* values) {
    const hn::RebindToUnsigned<Floats> d;
    const hn::Rebind<std::uint16_t, Floats> d16;
    Bf16* to = values + key / kBlock * kChunkElements + key % kBlock * kTile;
    for (std::int64_t c = 0; c < kBlock; c += lanes()) {
      const auto low = hn::PromoteTo(d, hn::LoadU(d16, reinterpret_cast<const std::uint16_t*>(first + c)));
      const auto high =
          hn::ShiftLeft<16>(hn::PromoteTo(d, hn::LoadU(d16, reinterpret_cast<const std::uint16_t*>(second + c))));
      Bf16* pairs = to + c / kTile * kTileElements + c % kTile * 2;
      hn::StoreU(hn::Or(low, high), d, reinterpret_cast<std::uint32_t*>(pairs));
    }
  }
};

struct ExactAttention {
  using T = float;

  static HWY_INLINE void multiply(const BlockParams<float>& p) { multiply_exact(p); }
  static HWY_INLINE void store(Vec v, float* out) { hn::StoreU(v, Floats(), out); }

  static HWY_INLINE void pack_key(const float* row, std::int64_t key, float* keys) {
    float* to = keys + key / kBlock * kChunkElements + key % kBlock;
    for (std::int64_t c = 0; c < kBlock; ++c) to[c * kBlock] = row[c];
  }

  static HWY_INLINE void pack_values(const float* first, const float* second, std::int64_t key, float* values) {
    std::memcpy(values + key * kBlock, first, kBlock * sizeof(float));
    std::memcpy(values + (key + 1) * kBlock, second, kBlock * sizeof(float));
  }
};

/// exp(scores + bias - the largest of them) as the operand of the next product; returns their sum before rounding.
/// `blocks` holds the scores of 32 keys after the other, (key_stride / 32, 32, 32).
template <class Kind>
HWY_INLINE float soften(const float* blocks, const float* bias, std::int64_t key_stride, typename Kind::T* weights) {
  const Floats d;
  const auto score = [&](std::int64_t key, std::int64_t c) HWY_ATTR {
    return hn::Add(hn::Load(d, blocks + key * kBlock + c), hn::LoadU(d, bias + key + c));
  };
  auto largest = hn::Set(d, -std::numeric_limits<float>::infinity());
  for (std::int64_t key = 0; key < key_stride; key += kBlock) {
    for (std::int64_t c = 0; c < kBlock; c += lanes()) largest = hn::Max(largest, score(key, c));
  }
  const auto top = hn::MaxOfLanes(d, largest);
  auto total = hn::Zero(d);
  for (std::int64_t key = 0; key < key_stride; key += kBlock) {
    for (std::int64_t c = 0; c < kBlock; c += lanes()) {
      const auto e = exp_below_zero<kFormatOf<typename Kind::T>>(hn::Sub(score(key, c), top));
      total = hn::Add(total, e);
      Kind::store(e, weights + key + c);
    }
  }
  return hn::GetLane(hn::SumOfLanes(d, total));
}

/// Row `key` of the keys (part 1) or values (2) of a head; `padding` after the tokens' own, `zeros` past the last.
template <class T>
HWY_INLINE const T* key_row(const AttentionParams& p, std::int64_t key, std::int64_t part, std::int64_t head,
                            const T* zeros) {
  const std::int64_t width = p.heads * kBlock;
  if (key < p.tokens) return p.qkv.at<T>(key, part * width + head * kBlock);
  if (key == p.tokens && p.padding) return p.padding.at<T>(part - 1, head * kBlock);
  return zeros;
}

template <class Kind>
HWY_INLINE void attend_rows(const AttentionParams& p, std::int64_t head, std::int64_t row,
                            const AttentionBuffers<typename Kind::T>& buffers) {
  using T = typename Kind::T;
  const Floats d;
  HWY_ALIGN float block[kBlock * kBlock];
  const std::int64_t rows = p.tokens - row < kBlock ? p.tokens - row : kBlock;
  const T* queries = p.qkv.at<T>(row, head * kBlock);
  const std::int64_t whole = 0;
  for (std::int64_t key = 0; key < p.key_stride; key += kBlock) {
    Kind::multiply(
        {queries, p.qkv.stride(), &whole, 1, buffers.keys + key * kBlock, rows, buffers.blocks + key * kBlock});
  }
  float totals[kBlock];
  for (std::int64_t r = 0; r < rows; ++r) {
    const float* bias = p.bias + (head * p.tokens + row + r) * p.key_stride;
    totals[r] = soften<Kind>(buffers.blocks + r * kBlock, bias, p.key_stride, buffers.weights + r * p.key_stride);
  }
  Kind::multiply({buffers.weights, p.key_stride, buffers.chunks, p.key_stride / kBlock, buffers.values, rows, block});
  for (std::int64_t r = 0; r < rows; ++r) {
    const auto scale = hn::Set(d, 1.0F / totals[r]);
    T* out = p.out.at<T>(row + r, head * kBlock);
    for (std::int64_t c = 0; c < kBlock; c += lanes()) {
      Kind::store(hn::Mul(hn::Load(d, block + r * kBlock + c), scale), out + c);
    }
  }
}

template <class Kind>
HWY_INLINE void attend(const AttentionParams& p) {
  using T = typename Kind::T;
  static constexpr T kZeros[kBlock] = {};
  Carver carver(p.scratch);
  const AttentionBuffers<T> buffers = take_attention_buffers<T>(p.key_stride, carver);
  for (std::int64_t i = 0; i < p.key_stride / kBlock; ++i) buffers.chunks[i] = i * kBlock;
  for (std::int64_t head = 0; head < p.heads; ++head) {
    for (std::int64_t key = 0; key < p.key_stride; ++key) {
      Kind::pack_key(key_row(p, key, 1, head, kZeros), key, buffers.keys);
    }
    for (std::int64_t key = 0; key < p.key_stride; key += 2) {
      Kind::pack_values(key_row(p, key, 2, head, kZeros), key_row(p, key + 1, 2, head, kZeros), key, buffers.values);
    }
    for (std::int64_t row = 0; row < p.tokens; row += kBlock) attend_rows<Kind>(p, head, row, buffers);
  }
}

template <class Way>
void attention(const AttentionParams& p) noexcept {
  if (p.qkv.format() == Format::f32) return attend<ExactAttention>(p);
  Way::Blocks::begin();
  attend<Bf16Attention<Way>>(p);
  Way::Blocks::end();
}

}  // namespace HWY_NAMESPACE
}  // namespace medsam::kernels
HWY_AFTER_NAMESPACE();

#endif
