// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Products of blocks. The instructions are asked for function by function, so that the rest of this file runs anywhere.
#include <algorithm>
#include <bit>

#include "kernels/encoder/encoder_kernels.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace medsam::kernels {
namespace {

// A chunk of a packed block: two tiles of 16 columns, each 16 pairs of rows with the pair's elements side by side,
// which is what both AMX's tiles and the dot products of AVX-512 read.
constexpr std::int64_t kTile = 16;
constexpr std::int64_t kTileElements = 2 * kTile * kTile;
constexpr std::int64_t kChunkElements = 2 * kTileElements;

float widened(Bf16 value) noexcept { return std::bit_cast<float>(static_cast<std::uint32_t>(value) << 16); }

Bf16 rounded(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return static_cast<Bf16>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

void nothing() noexcept {}

void multiply_scalar(const BlockParams& p) noexcept {
  for (std::int64_t row = 0; row < p.rows; ++row) {
    for (std::int64_t column = 0; column < kBlock; ++column) {
      float sum = 0;
      for (std::int64_t i = 0; i < p.count; ++i) {
        const Bf16* a = p.a + row * p.a_stride + p.chunks[i];
        const Bf16* b = p.b + i * kChunkElements + column / kTile * kTileElements + column % kTile * 2;
        for (std::int64_t k = 0; k < kBlock; ++k) sum += widened(a[k]) * widened(b[k / 2 * 2 * kTile + k % 2]);
      }
      p.c[row * kBlock + column] = sum;
    }
  }
}

constexpr BlockProduct kScalar = {"SCALAR", nothing, multiply_scalar, nothing};

#if defined(__x86_64__)

template <int kRows>
__attribute__((target("avx512f,avx512bf16"))) void multiply_rows(const BlockParams& p, std::int64_t row) noexcept {
  __m512 sums[kRows][2];
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) sums[r][0] = sums[r][1] = _mm512_setzero_ps();
  for (std::int64_t i = 0; i < p.count; ++i) {
    const Bf16* a = p.a + row * p.a_stride + p.chunks[i];
    const Bf16* b = p.b + i * kChunkElements;
    for (std::int64_t pair = 0; pair < kTile; ++pair) {
      const auto left = reinterpret_cast<__m512bh>(_mm512_loadu_si512(b + pair * 2 * kTile));
      const auto right = reinterpret_cast<__m512bh>(_mm512_loadu_si512(b + kTileElements + pair * 2 * kTile));
#pragma GCC unroll 12
      for (int r = 0; r < kRows; ++r) {
        int both;
        __builtin_memcpy(&both, a + r * p.a_stride + 2 * pair, sizeof both);
        const auto x = reinterpret_cast<__m512bh>(_mm512_set1_epi32(both));
        sums[r][0] = _mm512_dpbf16_ps(sums[r][0], x, left);
        sums[r][1] = _mm512_dpbf16_ps(sums[r][1], x, right);
      }
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
    _mm512_storeu_ps(p.c + (row + r) * kBlock, sums[r][0]);
    _mm512_storeu_ps(p.c + (row + r) * kBlock + kTile, sums[r][1]);
  }
}

__attribute__((target("avx512f,avx512bf16"))) void multiply_avx512(const BlockParams& p) noexcept {
  std::int64_t row = 0;
  for (; row + 8 <= p.rows; row += 8) multiply_rows<8>(p, row);
  for (; row < p.rows; ++row) multiply_rows<1>(p, row);
}

constexpr BlockProduct kAvx512 = {"AVX512_BF16", nothing, multiply_avx512, nothing};

__attribute__((target("amx-tile"))) void begin_amx() noexcept {
  struct alignas(64) Config {
    std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
    std::uint16_t row_bytes[16] = {};
    std::uint8_t rows[16] = {};
  };
  static constexpr Config kConfig = [] {
    Config config;
    for (int i = 0; i < 8; ++i) config.row_bytes[i] = 64, config.rows[i] = kTile;
    return config;
  }();
  _tile_loadconfig(&kConfig);
}

__attribute__((target("amx-tile"))) void end_amx() noexcept { _tile_release(); }

__attribute__((target("amx-tile,amx-bf16"))) void multiply_amx(const BlockParams& p) noexcept {
  const std::int64_t stride = p.a_stride * static_cast<std::int64_t>(sizeof(Bf16));
  constexpr int kStride = kBlock * sizeof(float);
  _tile_zero(0);
  _tile_zero(1);
  if (p.rows <= kTile) {
    for (std::int64_t i = 0; i < p.count; ++i) {
      const Bf16* b = p.b + i * kChunkElements;
      _tile_loadd(4, p.a + p.chunks[i], stride);
      _tile_loadd(6, b, 64);
      _tile_dpbf16ps(0, 4, 6);
      _tile_loadd(7, b + kTileElements, 64);
      _tile_dpbf16ps(1, 4, 7);
    }
  } else {
    _tile_zero(2);
    _tile_zero(3);
    for (std::int64_t i = 0; i < p.count; ++i) {
      const Bf16* a = p.a + p.chunks[i];
      const Bf16* b = p.b + i * kChunkElements;
      _tile_loadd(4, a, stride);
      _tile_loadd(6, b, 64);
      _tile_dpbf16ps(0, 4, 6);
      _tile_loadd(7, b + kTileElements, 64);
      _tile_dpbf16ps(1, 4, 7);
      _tile_loadd(5, a + kTile * p.a_stride, stride);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(2, p.c + kTile * kBlock, kStride);
    _tile_stored(3, p.c + kTile * kBlock + kTile, kStride);
  }
  _tile_stored(0, p.c, kStride);
  _tile_stored(1, p.c + kTile, kStride);
}

constexpr BlockProduct kAmx = {"AMX", begin_amx, multiply_amx, end_amx};

bool has_avx512_bf16() noexcept {
  std::uint32_t a = 0, b = 0, c = 0, d = 0;
  return __builtin_cpu_supports("avx512f") && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a >> 5 & 1) != 0;
}

// A process must ask Linux for the tiles' state before it touches them (Documentation/arch/x86/xstate.rst).
bool has_amx() noexcept {
  constexpr int kRequestPermission = 0x1023, kTileData = 18;
  std::uint32_t a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  const bool present = (d >> 22 & 1) != 0 && (d >> 24 & 1) != 0;
  return present && syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

#endif

}  // namespace

std::vector<const BlockProduct*> available_products() {
  static const std::vector<const BlockProduct*> kProducts = [] {
    std::vector<const BlockProduct*> products{&kScalar};
#if defined(__x86_64__)
    if (has_avx512_bf16()) products.push_back(&kAvx512);
    if (has_amx()) products.push_back(&kAmx);
#endif
    return products;
  }();
  return kProducts;
}

PackedMatrix pack_matrix(const float* matrix, std::int64_t in, std::int64_t out, Terms terms,
                         const std::vector<std::int64_t>& tap_offsets, std::int64_t low_offset) {
  PackedMatrix packed;
  packed.in = in;
  packed.out = (out + kBlock - 1) / kBlock * kBlock;
  const auto taps = static_cast<std::int64_t>(tap_offsets.size());
  struct Source {
    std::int64_t row;
    bool low;
  };
  std::vector<Source> sources;
  const auto add = [&](bool a_low, bool b_low) {
    for (std::int64_t t = 0; t < taps; ++t) {
      for (std::int64_t i = 0; i < in; i += kBlock) {
        packed.chunks.push_back(tap_offsets[static_cast<std::size_t>(t)] + i + (a_low ? low_offset : 0));
        sources.push_back({t * in + i, b_low});
      }
    }
  };
  // The small products first, so that their sum is not lost in the large one's rounding.
  if (terms == Terms::two) {
    add(true, false);
    add(false, true);
  }
  add(false, false);
  packed.data.resize(sources.size() * static_cast<std::size_t>(kBlock * packed.out));
  Bf16* to = packed.data.data();
  for (std::int64_t block = 0; block < packed.out; block += kBlock) {
    for (const Source& source : sources) {
      for (std::int64_t tile = block; tile < block + kBlock; tile += kTile) {
        for (std::int64_t pair = 0; pair < kTile; ++pair) {
          for (std::int64_t column = tile; column < tile + kTile; ++column) {
            for (std::int64_t k = 0; k < 2; ++k) {
              const float value = column < out ? matrix[(source.row + 2 * pair + k) * out + column] : 0.F;
              const Bf16 high = rounded(value);
              *to++ = source.low ? rounded(value - widened(high)) : high;
            }
          }
        }
      }
    }
  }
  return packed;
}

}  // namespace medsam::kernels
