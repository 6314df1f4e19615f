// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Products of blocks. The instructions are asked for function by function, so that the rest of this file runs anywhere.
#include "kernels/encoder/block_product.hpp"

#include "kernels/encoder/block_layout.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <arm_neon.h>
#endif

namespace medsam::kernels {

void ScalarBlocks::multiply(const BlockParams<Bf16>& p) noexcept {
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

#if defined(__x86_64__)

namespace {

template <int kRows>
__attribute__((target("avx512f,avx512bf16"))) void multiply_rows(const BlockParams<Bf16>& p,
                                                                 std::int64_t row) noexcept {
  __m512 sums[kRows][2];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) sums[r][0] = sums[r][1] = _mm512_setzero_ps();
  for (std::int64_t i = 0; i < p.count; ++i) {
    const Bf16* a = p.a + row * p.a_stride + p.chunks[i];
    const Bf16* b = p.b + i * kChunkElements;
    for (std::int64_t pair = 0; pair < kTile; ++pair) {
      const auto left = reinterpret_cast<__m512bh>(_mm512_loadu_si512(b + pair * 2 * kTile));
      const auto right = reinterpret_cast<__m512bh>(_mm512_loadu_si512(b + kTileElements + pair * 2 * kTile));
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        int both;
        __builtin_memcpy(&both, a + r * p.a_stride + 2 * pair, sizeof both);
        const auto x = reinterpret_cast<__m512bh>(_mm512_set1_epi32(both));
        sums[r][0] = _mm512_dpbf16_ps(sums[r][0], x, left);
        sums[r][1] = _mm512_dpbf16_ps(sums[r][1], x, right);
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    _mm512_storeu_ps(p.c + (row + r) * kBlock, sums[r][0]);
    _mm512_storeu_ps(p.c + (row + r) * kBlock + kTile, sums[r][1]);
  }
}

}  // namespace

// 16 sums of the 32 registers, two vectors of columns and one element of the left operand.
__attribute__((target("avx512f,avx512bf16"))) void DotBlocks::multiply(const BlockParams<Bf16>& p) noexcept {
  for_row_pieces<8>(p.rows, [&p](std::int64_t row, auto rows) { multiply_rows<rows()>(p, row); });
}

__attribute__((target("amx-tile"))) void TileBlocks::begin() noexcept {
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

__attribute__((target("amx-tile"))) void TileBlocks::end() noexcept { _tile_release(); }

__attribute__((target("amx-tile,amx-bf16"))) void TileBlocks::multiply(const BlockParams<Bf16>& p) noexcept {
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

// Not by __builtin_cpu_supports: zig's runtime for Windows says no to AVX-512 on every processor.
bool has_dot_products() noexcept {
  std::uint32_t a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a >> 5 & 1) != 0;
}

namespace {

// A process must ask Linux for the tiles' state before it touches them (Documentation/arch/x86/xstate.rst). By the
// instruction itself: the kernels see the processor, and no header of the system. Elsewhere nobody has been asked.
bool may_use_tiles() noexcept {
#ifdef __linux__
  constexpr long kArchPrctl = 158, kRequestPermission = 0x1023, kTileData = 18;
  long result = kArchPrctl;
  asm volatile("syscall" : "+a"(result) : "D"(kRequestPermission), "S"(kTileData) : "rcx", "r11", "memory");
  return result == 0;
#else
  return false;
#endif
}

}  // namespace

bool has_tiles() noexcept {
  std::uint32_t a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  const bool present = (d >> 22 & 1) != 0 && (d >> 24 & 1) != 0;
  return present && may_use_tiles();
}

#elif defined(__aarch64__) && defined(__linux__)

namespace {

constexpr int kLanes = 4;  // f32 of a vector

/// 8 sums per row, of the 32 registers; a vector of the right operand has the pairs of 4 columns.
template <int kRows>
__attribute__((target("arch=armv8.2-a+bf16"))) void multiply_rows(const BlockParams<Bf16>& p,
                                                                  std::int64_t row) noexcept {
  constexpr int kVectors = kTile / kLanes;
  for (std::int64_t half = 0; half < 2; ++half) {
    float32x4_t sums[kRows][kVectors];
    for (int r = 0; r < kRows; ++r) {
      for (int v = 0; v < kVectors; ++v) sums[r][v] = vdupq_n_f32(0);
    }
    for (std::int64_t i = 0; i < p.count; ++i) {
      const Bf16* a = p.a + row * p.a_stride + p.chunks[i];
      const Bf16* b = p.b + i * kChunkElements + half * kTileElements;
      for (std::int64_t pair = 0; pair < kTile; ++pair, b += 2 * kTile) {
        bfloat16x8_t right[kVectors];
        for (int v = 0; v < kVectors; ++v) {
          right[v] = vreinterpretq_bf16_u16(vld1q_u16(reinterpret_cast<const std::uint16_t*>(b) + v * 2 * kLanes));
        }
        for (int r = 0; r < kRows; ++r) {
          std::uint32_t both;
          __builtin_memcpy(&both, a + r * p.a_stride + 2 * pair, sizeof both);
          const bfloat16x8_t left = vreinterpretq_bf16_u32(vdupq_n_u32(both));
          for (int v = 0; v < kVectors; ++v) sums[r][v] = vbfdotq_f32(sums[r][v], left, right[v]);
        }
      }
    }
    for (int r = 0; r < kRows; ++r) {
      float* c = p.c + (row + r) * kBlock + half * kTile;
      for (int v = 0; v < kVectors; ++v) vst1q_f32(c + v * kLanes, sums[r][v]);
    }
  }
}

}  // namespace

__attribute__((target("arch=armv8.2-a+bf16"))) void DotBlocks::multiply(const BlockParams<Bf16>& p) noexcept {
  for_row_pieces<4>(p.rows, [&p](std::int64_t row, auto rows) { multiply_rows<rows()>(p, row); });
}

// Linux answers for the identification registers, which are the system's own
// (Documentation/arch/arm64/cpu-feature-registers.rst): bits 44 to 47 of ID_AA64ISAR1_EL1 are BF16.
bool has_dot_products() noexcept {
  std::uint64_t features = 0;
  asm("mrs %0, ID_AA64ISAR1_EL1" : "=r"(features));
  return (features >> 44 & 0xF) != 0;
}

#endif

}  // namespace medsam::kernels
