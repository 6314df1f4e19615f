// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The transforms around the products of a 3x3 convolution by Winograd's F(2x2, 3x3) (Lavin and Gray, arXiv 1509.09308):
// 16 products for four pixels instead of 36.
#if defined(MEDSAM_ENCODER_WINOGRAD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MEDSAM_ENCODER_WINOGRAD_INL_H_
#undef MEDSAM_ENCODER_WINOGRAD_INL_H_
#else
#define MEDSAM_ENCODER_WINOGRAD_INL_H_
#endif

#include "hwy/highway.h"
#include "kernels/encoder/encoder_kernels.hpp"
#include "kernels/encoder/rounding-inl.h"

HWY_BEFORE_NAMESPACE();
// NOLINTNEXTLINE(modernize-concat-nested-namespaces): HWY_NAMESPACE names one namespace per target
namespace medsam::kernels {
namespace HWY_NAMESPACE {

/// B^T d of a column of the tile.
HWY_INLINE void transform_input(Vec& d0, Vec& d1, Vec& d2, Vec& d3) {
  const Vec sum = hn::Add(d1, d2), difference = hn::Sub(d2, d1);
  d0 = hn::Sub(d0, d2);
  d3 = hn::Sub(d1, d3);
  d1 = sum;
  d2 = difference;
}

template <class Rounding, bool kInside>
HWY_INLINE void winograd_input_tile(const WinogradInputParams& p, std::int64_t tile) {
  const Floats d;
  const std::int64_t left = 2 * tile - 1;
  for (std::int64_t c = 0; c < p.channels; c += lanes()) {
    Vec v[4][4];
#pragma GCC unroll 4
    for (std::int64_t y = 0; y < 4; ++y) {
#pragma GCC unroll 4
      for (std::int64_t x = 0; x < 4; ++x) {
        const bool inside = kInside || (p.rows[y] != nullptr && left + x >= 0 && left + x < p.width);
        v[y][x] = inside ? hn::LoadU(d, p.rows[y] + (left + x) * p.channels + c) : hn::Zero(d);
      }
    }
#pragma GCC unroll 4
    for (std::int64_t x = 0; x < 4; ++x) transform_input(v[0][x], v[1][x], v[2][x], v[3][x]);
#pragma GCC unroll 4
    for (std::int64_t y = 0; y < 4; ++y) {
      transform_input(v[y][0], v[y][1], v[y][2], v[y][3]);
#pragma GCC unroll 4
      for (std::int64_t x = 0; x < 4; ++x) store<Rounding>(v[y][x], p.out, (4 * y + x) * p.step + tile, c);
    }
  }
}

template <class Rounding>
void winograd_input(const WinogradInputParams& p) noexcept {
  const std::int64_t tiles = p.width / 2;
  const bool rows_inside = p.rows[0] != nullptr && p.rows[3] != nullptr;
  for (std::int64_t tile = 0; tile < tiles; ++tile) {
    if (rows_inside && tile > 0 && tile + 1 < tiles) {
      winograd_input_tile<Rounding, true>(p, tile);
    } else {
      winograd_input_tile<Rounding, false>(p, tile);
    }
  }
}

template <class Rounding>
void winograd_output(const WinogradOutputParams& p) noexcept {
  const Floats d;
  for (std::int64_t tile = 0; tile < p.tiles; ++tile) {
    for (std::int64_t c = 0; c < p.channels; c += lanes()) {
      const auto bias = p.bias == nullptr ? hn::Zero(d) : hn::LoadU(d, p.bias + c);
      Vec halves[2][4];  // A^T m
#pragma GCC unroll 4
      for (std::int64_t x = 0; x < 4; ++x) {
        const float* m = p.sums + (x * p.step + tile) * p.channels + c;
        const std::int64_t row = 4 * p.step * p.channels;
        const auto m0 = hn::LoadU(d, m), m1 = hn::LoadU(d, m + row), m2 = hn::LoadU(d, m + 2 * row),
                   m3 = hn::LoadU(d, m + 3 * row);
        halves[0][x] = hn::Add(hn::Add(m0, m1), m2);
        halves[1][x] = hn::Sub(hn::Sub(m1, m2), m3);
      }
#pragma GCC unroll 4
      for (std::int64_t y = 0; y < 2; ++y) {
        const Vec* h = halves[y];
        Vec pixels[2] = {hn::Add(hn::Add(h[0], h[1]), hn::Add(h[2], bias)),
                         hn::Add(hn::Sub(hn::Sub(h[1], h[2]), h[3]), bias)};
#pragma GCC unroll 4
        for (std::int64_t x = 0; x < 2; ++x) {
          const auto v = p.out[y].format() == Format::bf16 ? tanh_gelu<Format::bf16>(pixels[x])
                                                           : tanh_gelu<Format::f32>(pixels[x]);
          store<Rounding>(v, p.out[y], 2 * tile + x, c);
        }
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace medsam::kernels
HWY_AFTER_NAMESPACE();

#endif
