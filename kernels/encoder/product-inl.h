// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Products block by block, and what becomes of a block's sums. Blocks of f32 are multiplied here.
#if defined(MEDSAM_ENCODER_PRODUCT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MEDSAM_ENCODER_PRODUCT_INL_H_
#undef MEDSAM_ENCODER_PRODUCT_INL_H_
#else
#define MEDSAM_ENCODER_PRODUCT_INL_H_
#endif

#include <cstring>
#include <type_traits>

#include "hwy/highway.h"
#include "kernels/encoder/block_layout.hpp"
#include "kernels/encoder/block_product.hpp"
#include "kernels/encoder/encoder_kernels.hpp"
#include "kernels/encoder/rounding-inl.h"

HWY_BEFORE_NAMESPACE();
// NOLINTNEXTLINE(modernize-concat-nested-namespaces): HWY_NAMESPACE names one namespace per target
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
  constexpr int kMost = HWY_TARGET <= HWY_AVX3 ? 8 : 6;
  for_row_pieces<kMost>(p.rows, [&p](std::int64_t row, auto rows) HWY_ATTR { multiply_exact_rows<rows()>(p, row); });
}

/// The epilogue of a product, as far as the compiler is to know it.
struct Finish {
  Format operands;  // of the product
  bool gelu, residual, gelu_after, tanh_gelu;
};

template <class Rounding, Finish kFinish>
HWY_INLINE void finish_sums(const ProductParams& p, Vec sums, Vec bias, std::int64_t row, std::int64_t column) {
  auto v = hn::Add(sums, bias);
  if constexpr (kFinish.gelu) v = gelu<kFinish.operands>(v);
  if constexpr (kFinish.tanh_gelu) v = tanh_gelu<kFinish.operands>(v);
  if constexpr (kFinish.residual) v = hn::Add(v, load(p.epilogue.residual, row, column));
  if constexpr (kFinish.gelu_after) v = gelu<kFinish.operands>(v);
  store<Rounding>(v, p.out, row, column);
}

HWY_INLINE Vec bias_of(const ProductParams& p, std::int64_t column) {
  const Floats d;
  return p.epilogue.bias == nullptr ? hn::Zero(d) : hn::LoadU(d, p.epilogue.bias + column);
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
  const std::int64_t stride = p.a.stride();
  const Bf16* b = p.b->data<Bf16>() + column * count * kBlock;
  __m512 sums[kRows][2];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) sums[r][0] = sums[r][1] = _mm512_setzero_ps();
  for (const std::int64_t chunk : p.b->chunks) {
    const Bf16* a = p.a.at<Bf16>(row, chunk);
    for (std::int64_t pair = 0; pair < kTile; ++pair, b += 2 * kTile) {
      const __m512i left = _mm512_loadu_si512(b), right = _mm512_loadu_si512(b + kTileElements);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        int both;
        std::memcpy(&both, a + r * stride + 2 * pair, sizeof both);
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

/// Rows of the left operand that are multiplied with all of the right one before the next: as many as stay in the
/// first-level cache beside the blocks of the right operand that pass through it from the second level. 24 KiB are half
/// of the 48 KiB of Zen 5 and of Intel since Ice Lake, and three quarters of the 32 KiB of Zen 4.
template <class T>
inline std::int64_t panel_rows(const ConstRows& a) {
  constexpr std::int64_t kPanelBytes = 24 << 10;
  const std::int64_t rows = kPanelBytes / (a.stride() * static_cast<std::int64_t>(sizeof(T))) / kBlock * kBlock;
  return rows > kBlock ? rows : kBlock;
}

/// Calls multiply(row, rows, column, sums) and finishes its sums, panel by panel.
template <class T, class Rounding, Finish kFinish, class Multiply>
HWY_INLINE void for_blocks(const ProductParams& p, const Multiply& multiply) {
  HWY_ALIGN float sums[kBlock * kBlock];
  const std::int64_t panel = panel_rows<T>(p.a), count = static_cast<std::int64_t>(p.b->chunks.size());
  for (std::int64_t first = 0; first < p.rows; first += panel) {
    const std::int64_t last = p.rows < first + panel ? p.rows : first + panel;
    for (std::int64_t column = 0; column < p.b->out; column += kBlock) {
      const T* b = p.b->data<T>() + column * count * kBlock;
      for (std::int64_t row = first; row < last; row += kBlock) {
        const std::int64_t rows = last - row < kBlock ? last - row : kBlock;
        multiply(BlockParams<T>{p.a.at<T>(row), p.a.stride(), p.b->chunks.data(), count, b, rows, sums});
        finish_block<Rounding, kFinish>(p, sums, row, rows, column);
      }
    }
  }
}

#if MEDSAM_ENCODER_AVX512
template <class Rounding, Finish kFinish>
HWY_INLINE void dot_blocks(const ProductParams& p) {
  const std::int64_t panel = panel_rows<Bf16>(p.a);
  for (std::int64_t first = 0; first < p.rows; first += panel) {
    const std::int64_t rows = p.rows - first < panel ? p.rows - first : panel;
    for (std::int64_t column = 0; column < p.b->out; column += kBlock) {
      for_row_pieces<8>(rows, [&](std::int64_t at, auto count)
                                  HWY_ATTR { dot_rows<Rounding, kFinish, count()>(p, first + at, column); });
    }
  }
}
#endif

template <class Rounding, Finish kFinish>
void product_f32(const ProductParams& p) {
  for_blocks<float, Rounding, kFinish>(p, [](const BlockParams<float>& block) HWY_ATTR { multiply_exact(block); });
}

template <class Way, Finish kFinish>
void product_bf16(const ProductParams& p) {
  using Rounding = typename Way::Rounding;
#if MEDSAM_ENCODER_AVX512
  if constexpr (std::is_same_v<typename Way::Blocks, DotBlocks>) return dot_blocks<Rounding, kFinish>(p);
#endif
  Way::Blocks::begin();
  for_blocks<Bf16, Rounding, kFinish>(p, [](const BlockParams<Bf16>& block) HWY_ATTR { Way::Blocks::multiply(block); });
  Way::Blocks::end();
}

template <class Way, bool kGelu, bool kResidual, bool kGeluAfter, bool kTanhGelu = false>
void product_as(const ProductParams& p) {
  if (p.b->format() == Format::f32) {
    return product_f32<typename Way::Rounding, Finish{Format::f32, kGelu, kResidual, kGeluAfter, kTanhGelu}>(p);
  }
  product_bf16<Way, Finish{Format::bf16, kGelu, kResidual, kGeluAfter, kTanhGelu}>(p);
}

/// A way to compute with bf16: how a number is rounded, what multiplies blocks, and what mixes rows
/// (token_attention-inl.h).
template <class Rounds, class Multiplies, class Mixes>
struct Bf16Way {
  using Rounding = Rounds;
  using Blocks = Multiplies;
  using Mix = Mixes;
};

template <class Way>
void product(const ProductParams& p) noexcept {
  const Epilogue& then = p.epilogue;
  if (then.tanh_gelu) return product_as<Way, false, false, false, true>(p);
  if (!then.residual)
    return then.gelu ? product_as<Way, true, false, false>(p) : product_as<Way, false, false, false>(p);
  return then.gelu_after ? product_as<Way, false, true, true>(p) : product_as<Way, false, true, false>(p);
}

}  // namespace HWY_NAMESPACE
}  // namespace medsam::kernels
HWY_AFTER_NAMESPACE();

#endif
