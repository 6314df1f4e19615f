// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// How a packed chunk of 32 x 32 lies in memory. Of f32 it is row-major. Of bf16 it is two tiles of 16 columns, each 16
// pairs of rows with the pair's elements side by side, which is what AMX's tiles and AVX-512's dot products read.
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

#include "kernels/encoder/rows.hpp"

namespace medsam::kernels {

constexpr std::int64_t kTile = 16;
constexpr std::int64_t kTileElements = 2 * kTile * kTile;
constexpr std::int64_t kChunkElements = kBlock * kBlock;

inline float widened(Bf16 value) noexcept { return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16); }

inline Bf16 rounded(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return {static_cast<std::uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16)};
}

/// Calls f(row, count as a std::integral_constant), so that the compiler keeps that many rows of sums in registers.
/// 1 <= count <= kMost.
template <int kMost, class F>
inline void with_rows(std::int64_t row, std::int64_t count, const F& f) {
  if constexpr (kMost > 1) {
    if (count < kMost) return with_rows<kMost - 1>(row, count, f);
  }
  f(row, std::integral_constant<int, kMost>());
}

/// Calls f(first row, count as a constant) for pieces of at most kMost rows, all about as long: a short piece would
/// wait for the products' latency.
template <int kMost, class F>
inline void for_row_pieces(std::int64_t rows, const F& f) {
  for (std::int64_t pieces = (rows + kMost - 1) / kMost, row = 0; pieces > 0; --pieces) {
    const std::int64_t count = (rows - row + pieces - 1) / pieces;
    with_rows<kMost>(row, count, f);
    row += count;
  }
}

}  // namespace medsam::kernels
