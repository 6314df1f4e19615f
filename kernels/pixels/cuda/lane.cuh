// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What a kernel body sees of the GPU. A body is a struct called once a thread with its Lane; it walks over its share of
// the index space and may end with a reduction, which every thread reaches. So one source serves nvcc and, in tests,
// the host's compiler, where grid and block are loops (tests/cpp/kernels/cuda/host_launcher.hpp). No shared memory, no
// barriers.
//
// Reductions are of integers only (min, max, sum), for which order does not matter: results are deterministic.
#pragma once

#include <cstdint>

#include "kernels/pixels/math/pixel_math.hpp"

#if !defined(__CUDA_ARCH__)
#include <atomic>
#endif

namespace medsam::kernels::cuda {

/// A thread's first index and its strides.
struct Lane {
  std::int64_t x, y, step_x, step_y;
};

/// Index space of a launch; empty ones are not launched.
struct Extent {
  std::int64_t width, height = 1;
};

struct Grid {
  std::uint32_t grid_x, grid_y, block_x, block_y;
};

/// Blocks of whole warps along x. At most about `max_blocks` of them (256 threads each): enough to fill a large GPU,
/// few enough that the reductions' atomics, one a warp, cost nothing.
inline Grid grid_of(Extent extent, std::int64_t max_blocks = 1024) noexcept {
  const std::uint32_t block_x = extent.height == 1 ? 256 : 32, block_y = extent.height == 1 ? 1 : 8;
  const std::int64_t x = lesser((extent.width + block_x - 1) / block_x, max_blocks);
  const std::int64_t y = lesser((extent.height + block_y - 1) / block_y, greater<std::int64_t>(1, max_blocks / x));
  return {static_cast<std::uint32_t>(x), static_cast<std::uint32_t>(y), block_x, block_y};
}

/// Order-preserving integer of a float, and back (its own inverse on the bits): -0 comes just before 0.
MEDSAM_HOST_DEVICE inline std::int32_t ordered_of(float v) noexcept {
  const auto bits = static_cast<std::int32_t>(bits_of(v));
  return bits < 0 ? bits ^ 0x7FFFFFFF : bits;
}
MEDSAM_HOST_DEVICE inline float float_of_ordered(std::int32_t ordered) noexcept {
  return float_of(static_cast<std::uint32_t>(ordered < 0 ? ordered ^ 0x7FFFFFFF : ordered));
}

inline constexpr int kWarpSize = 32;

/// Folds a value over the threads of a warp; all of them get the result. `exchange(value, offset)` gives the value of
/// the thread whose number differs by the bit `offset`.
template <typename T, class Fold, class Exchange>
MEDSAM_HOST_DEVICE T fold_warp(T value, Fold fold, Exchange exchange) {
  for (int offset = kWarpSize / 2; offset > 0; offset /= 2) value = fold(value, exchange(value, offset));
  return value;
}

#if defined(__CUDA_ARCH__)

/// For fold_warp: every thread of the warp must come here.
struct Shuffle {
  template <typename T>
  __device__ T operator()(T value, int offset) const {
    return __shfl_xor_sync(0xFFFFFFFFU, value, offset);
  }
};

/// True in one thread of each warp: block_x is a multiple of the warp's size.
__device__ inline bool speaks_for_warp() noexcept { return threadIdx.x % kWarpSize == 0; }

__device__ inline void reduce_min(std::int32_t* where, std::int32_t value) noexcept {
  value = fold_warp(
      value, [](std::int32_t a, std::int32_t b) { return lesser(a, b); }, Shuffle{});
  // What lies there only falls, so a stale value costs an atomic and no more.
  if (speaks_for_warp() && value < *static_cast<volatile std::int32_t*>(where)) atomicMin(where, value);
}

__device__ inline void reduce_max(std::int32_t* where, std::int32_t value) noexcept {
  value = fold_warp(
      value, [](std::int32_t a, std::int32_t b) { return greater(a, b); }, Shuffle{});
  if (speaks_for_warp() && value > *static_cast<volatile std::int32_t*>(where)) atomicMax(where, value);
}

__device__ inline void reduce_sum(std::uint64_t* where, std::uint64_t value) noexcept {
  using Wide = unsigned long long;
  static_assert(sizeof(Wide) == sizeof(std::uint64_t));
  const Wide sum = fold_warp(
      Wide{value}, [](Wide a, Wide b) { return a + b; }, Shuffle{});
  if (speaks_for_warp() && sum != 0) atomicAdd(reinterpret_cast<Wide*>(where), sum);
}

/// Any number of threads may write the same value.
__device__ inline void write_flag(std::int32_t* where, std::int32_t value) noexcept { atomicExch(where, value); }

#else

template <typename T, typename Better>
void replace_if(T* where, T value, Better better) noexcept {
  std::atomic_ref<T> there(*where);
  T old = there.load(std::memory_order_relaxed);
  while (better(value, old) && !there.compare_exchange_weak(old, value, std::memory_order_relaxed)) {
  }
}

inline void reduce_min(std::int32_t* where, std::int32_t value) noexcept {
  replace_if(where, value, [](std::int32_t a, std::int32_t b) { return a < b; });
}
inline void reduce_max(std::int32_t* where, std::int32_t value) noexcept {
  replace_if(where, value, [](std::int32_t a, std::int32_t b) { return a > b; });
}
inline void reduce_sum(std::uint64_t* where, std::uint64_t value) noexcept {
  std::atomic_ref<std::uint64_t>(*where).fetch_add(value, std::memory_order_relaxed);
}
inline void write_flag(std::int32_t* where, std::int32_t value) noexcept {
  std::atomic_ref<std::int32_t>(*where).store(value, std::memory_order_relaxed);
}

#endif

}  // namespace medsam::kernels::cuda
