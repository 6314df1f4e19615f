// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Products block by block, and what becomes of a block's sums. Blocks of f32 are multiplied here.
#if defined(MEDSAM_ENCODER_PRODUCT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MEDSAM_ENCODER_PRODUCT_INL_H_
#undef MEDSAM_ENCODER_PRODUCT_INL_H_
#else
#define MEDSAM_ENCODER_PRODUCT_INL_H_
#endif

#include <cstring>

#include "hwy/highway.h"
#include "kernels/encoder/block_layout.hpp"
#include "kernels/encoder/rounding-inl.h"

HWY_BEFORE_NAMESPACE();
// NOLINTNEXTLINE(modernize-concat-nested-namespaces): HWY_NAMESPACE names one namespace a target
namespace medsam::kernels {
namespace HWY_NAMESPACE {

/// kRows rows of a block of f32, two vectors of columns at a time: sums and operands stay in registers.
template <int kRows>
HWY_INLINE void multiply_exact_rows(const BlockParams<float>& p, std::int64_t row) {
  const Floats d;
  const std::int64_t step = lanes();
  for (std::int64_t c = 0; c < kBlock; c += 2 * step) {
    Vec left[kRows], right[kRows];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) left[r] = right[r] = hn::Zero(d);
    for (std::int64_t i = 0; i < p.count; ++i) {
      const float* a = p.a + row * p.a_stride + p.chunks[i];
      const float* b = p.b + i * kChunkElements + c;
      for (std::int64_t k = 0; k < kBlock; ++k) {
        const auto b0 = hn::LoadU(d, b + k * kBlock), b1 = hn::LoadU(d, b + k * kBlock + step);
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) {
          const auto x = hn::Set(d, a[r * p.a_stride + k]);
          left[r] = hn::MulAdd(x, b0, left[r]);
          right[r] = hn::MulAdd(x, b1, right[r]);
        }
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      hn::StoreU(left[r], d, p.c + (row + r) * kBlock + c);
      hn::StoreU(right[r], d, p.c + (row + r) * kBlock + c + step);
    }
  }
}

/// As many rows at a time as registers hold: 16 sums of 32 registers, or 12 of 16.
inline void multiply_exact(const BlockParams<float>& p) {
  constexpr std::int64_t kMost = HWY_TARGET <= HWY_AVX3 ? 8 : 6;
  for_row_pieces(p.rows, kMost, [&p](std::int64_t row, std::int64_t count) HWY_ATTR {
    switch (count) {
      case 8:
        return multiply_exact_rows<8>(p, row);
      case 7:
        return multiply_exact_rows<7>(p, row);
      case 6:
        return multiply_exact_rows<6>(p, row);
      case 5:
        return multiply_exact_rows<5>(p, row);
      case 4:
        return multiply_exact_rows<4>(p, row);
      case 3:
        return multiply_exact_rows<3>(p, row);
      case 2:
        return multiply_exact_rows<2>(p, row);
      default:
        return multiply_exact_rows<1>(p, row);
    }
  });
}

/// What becomes of a block's sums.
struct Finish {
  Operand operand;  // of the product
  bool gelu, residual, gelu_after;
};

template <class Rounding, Finish kFinish>
HWY_INLINE void finish_sums(const ProductParams& p, Vec sums, Vec bias, std::int64_t row, std::int64_t column) {
  const Floats d;
  auto v = hn::Add(sums, bias);
  if constexpr (kFinish.gelu) v = gelu<kFinish.operand>(v);
  if constexpr (kFinish.residual) v = hn::Add(v, hn::LoadU(d, p.residual + row * p.residual_stride + column));
  if constexpr (kFinish.gelu_after) v = gelu<kFinish.operand>(v);
  if (p.out != nullptr) hn::StoreU(v, d, p.out + row * p.out_stride + column);
  if (p.rounded != nullptr) Rounding::store(v, p.rounded + row * p.rounded_stride + column);
}

HWY_INLINE Vec bias_of(const ProductParams& p, std::int64_t column) {
  const Floats d;
  return p.bias == nullptr ? hn::Zero(d) : hn::LoadU(d, p.bias + column);
}

template <class Rounding, Finish kFinish>
HWY_INLINE void finish_block(const ProductParams& p, const float* sums, std::int64_t row, std::int64_t rows,
                             std::int64_t column) {
  for (std::int64_t c = 0; c < kBlock; c += lanes()) {
    const auto bias = bias_of(p, column + c);
    for (std::int64_t r = 0; r < rows; ++r) {
      finish_sums<Rounding, kFinish>(p, hn::Load(Floats(), sums + r * kBlock + c), bias, row + r, column + c);
    }
  }
}

#if MEDSAM_ENCODER_AVX512
/// kRows rows of a block of bf16 from the operands to the end, with no sums in memory.
template <class Rounding, Finish kFinish, int kRows>
HWY_INLINE void dot_rows(const ProductParams& p, std::int64_t row, std::int64_t column) {
  const auto count = static_cast<std::int64_t>(p.b->chunks.size());
  const Bf16* b = p.b->rounded.data() + column * count * kBlock;
  __m512 sums[kRows][2];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) sums[r][0] = sums[r][1] = _mm512_setzero_ps();
  for (const std::int64_t chunk : p.b->chunks) {
    const Bf16* a = p.a + row * p.a_stride + chunk;
    for (std::int64_t pair = 0; pair < kTile; ++pair, b += 2 * kTile) {
      const __m512i left = _mm512_loadu_si512(b), right = _mm512_loadu_si512(b + kTileElements);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        int both;
        std::memcpy(&both, a + r * p.a_stride + 2 * pair, sizeof both);
        const __m512i x = _mm512_set1_epi32(both);
        Rounding::dot(x, left, sums[r][0]);
        Rounding::dot(x, right, sums[r][1]);
      }
    }
    b += kTileElements;
  }
#pragma GCC unroll 8
  for (int half = 0; half < 2; ++half) {
    const std::int64_t at = column + half * kTile;
    const auto bias = bias_of(p, at);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) finish_sums<Rounding, kFinish>(p, Vec{sums[r][half]}, bias, row + r, at);
  }
}
#endif

/// Rows of the left operand that are multiplied with all of the right one before the next: as many as stay in half of
/// the first-level cache, while the right operand comes from the second.
inline std::int64_t panel_rows(std::int64_t row_bytes) {
  constexpr std::int64_t kPanelBytes = 24 << 10;
  const std::int64_t rows = kPanelBytes / row_bytes / kBlock * kBlock;
  return rows > kBlock ? rows : kBlock;
}

/// Calls multiply(row, rows, column, sums) and finishes its sums, panel by panel.
template <class Rounding, Finish kFinish, class Multiply>
HWY_INLINE void for_blocks(const ProductParams& p, std::int64_t element_bytes, const Multiply& multiply) {
  HWY_ALIGN float sums[kBlock * kBlock];
  const std::int64_t panel = panel_rows(p.a_stride * element_bytes);
  for (std::int64_t first = 0; first < p.rows; first += panel) {
    const std::int64_t last = p.rows < first + panel ? p.rows : first + panel;
    for (std::int64_t column = 0; column < p.b->out; column += kBlock) {
      for (std::int64_t row = first; row < last; row += kBlock) {
        const std::int64_t rows = last - row < kBlock ? last - row : kBlock;
        multiply(row, rows, column, sums);
        finish_block<Rounding, kFinish>(p, sums, row, rows, column);
      }
    }
  }
}

#if MEDSAM_ENCODER_AVX512
template <class Rounding, Finish kFinish>
HWY_INLINE void dot_blocks(const ProductParams& p) {
  const std::int64_t panel = panel_rows(p.a_stride * static_cast<std::int64_t>(sizeof(Bf16)));
  for (std::int64_t first = 0; first < p.rows; first += panel) {
    const std::int64_t rows = p.rows - first < panel ? p.rows - first : panel;
    for (std::int64_t column = 0; column < p.b->out; column += kBlock) {
      for_row_pieces(rows, 8, [&](std::int64_t at, std::int64_t count) HWY_ATTR {
        const std::int64_t row = first + at;
        switch (count) {
          case 8:
            return dot_rows<Rounding, kFinish, 8>(p, row, column);
          case 7:
            return dot_rows<Rounding, kFinish, 7>(p, row, column);
          case 6:
            return dot_rows<Rounding, kFinish, 6>(p, row, column);
          case 5:
            return dot_rows<Rounding, kFinish, 5>(p, row, column);
          case 4:
            return dot_rows<Rounding, kFinish, 4>(p, row, column);
          case 3:
            return dot_rows<Rounding, kFinish, 3>(p, row, column);
          case 2:
            return dot_rows<Rounding, kFinish, 2>(p, row, column);
          default:
            return dot_rows<Rounding, kFinish, 1>(p, row, column);
        }
      });
    }
  }
}
#endif

template <class Rounding, bool kGelu, bool kResidual, bool kGeluAfter>
void product_as(const ProductParams& p, const BlockProduct& blocks) {
  const std::int64_t* chunks = p.b->chunks.data();
  const auto count = static_cast<std::int64_t>(p.b->chunks.size());
  if (p.b->operand == Operand::f32) {
    for_blocks<Rounding, Finish{Operand::f32, kGelu, kResidual, kGeluAfter}>(
        p, sizeof(float), [&](std::int64_t row, std::int64_t rows, std::int64_t column, float* sums) HWY_ATTR {
          const float* b = p.b->exact.data() + column * count * kBlock;
          multiply_exact({p.a_exact + row * p.a_stride, p.a_stride, chunks, count, b, rows, sums});
        });
    return;
  }
#if MEDSAM_ENCODER_AVX512
  if constexpr (Rounding::kDotProducts) {
    if (blocks.dot_products) {
      return dot_blocks<Rounding, Finish{Operand::bf16, kGelu, kResidual, kGeluAfter}>(p);
    }
  }
#endif
  blocks.begin();
  for_blocks<Rounding, Finish{Operand::bf16, kGelu, kResidual, kGeluAfter}>(
      p, sizeof(Bf16), [&](std::int64_t row, std::int64_t rows, std::int64_t column, float* sums) HWY_ATTR {
        const Bf16* b = p.b->rounded.data() + column * count * kBlock;
        blocks.multiply({p.a + row * p.a_stride, p.a_stride, chunks, count, b, rows, sums});
      });
  blocks.end();
}

template <class Rounding>
void product(const ProductParams& p, const BlockProduct& blocks) noexcept {
  if (p.residual == nullptr) {
    return p.gelu ? product_as<Rounding, true, false, false>(p, blocks)
                  : product_as<Rounding, false, false, false>(p, blocks);
  }
  return p.gelu_after ? product_as<Rounding, false, true, true>(p, blocks)
                      : product_as<Rounding, false, true, false>(p, blocks);
}

}  // namespace HWY_NAMESPACE
}  // namespace medsam::kernels
HWY_AFTER_NAMESPACE();

#endif
