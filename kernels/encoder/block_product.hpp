// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Ways to multiply blocks of bf16. Each is a class of static functions, which the kernels of a target take as a
// template argument. Blocks of f32 are multiplied by the kernels' own target (product-inl.h).
#pragma once

#include <cstdint>

#include "kernels/encoder/rows.hpp"

namespace medsam::kernels {

/// A block of a product: c (32, 32) = sum over chunks of a (rows, 32) b (32, 32). T is Bf16 or float.
template <class T>
struct BlockParams {
  const T* a;
  std::int64_t a_stride;       // elements from a row to the next
  const std::int64_t* chunks;  // (count): where in a row each chunk begins, elements; a convolution's taps are chunks
  std::int64_t count;
  const T* b;         // packed, see pack_matrix
  std::int64_t rows;  // of a that are wanted, 1 to 32; up to the next multiple of 16 are read
  float* c;           // (32, 32), 64-byte aligned; rows past `rows` are unspecified
};

/// The oracle, on any processor.
struct ScalarBlocks {
  /// Before a series of blocks on one thread, and after it.
  static void begin() noexcept {}
  static void end() noexcept {}
  static void multiply(const BlockParams<Bf16>& p) noexcept;
};

#if defined(__x86_64__) || (defined(__aarch64__) && defined(__linux__))
/// The dot products of AVX512_BF16, or Arm's BFDOT. With AVX-512 a whole product keeps its sums in registers instead
/// (product-inl.h, dot_blocks); attention, whose scores are needed in memory, multiplies blocks.
struct DotBlocks {
  static void begin() noexcept {}
  static void end() noexcept {}
  static void multiply(const BlockParams<Bf16>& p) noexcept;
};
/// Whether the processor has them, with which it also rounds to bf16. On x86-64 whether the system keeps the registers
/// of AVX-512 is another question, which Highway asks: it lists a target of AVX-512 only then.
bool has_dot_products() noexcept;
#endif

#if defined(__x86_64__)
/// AMX tiles.
struct TileBlocks {
  static void begin() noexcept;
  static void end() noexcept;
  static void multiply(const BlockParams<Bf16>& p) noexcept;
};
/// Whether the processor has AMX with bf16, and Linux lets this process use it.
bool has_tiles() noexcept;
#endif

}  // namespace medsam::kernels
