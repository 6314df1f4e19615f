// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Runs the CUDA kernels' bodies on the CPU: grid and block are loops. What the order of threads can change would show
// as a difference between the orders, and what two threads write at once under ThreadSanitizer.
#pragma once

#include <cstdint>
#include <thread>

#include "kernels/pixels/cuda/table.cuh"
#include "kernels/pixels/pixel_kernels.hpp"

namespace medsam::kernels {

/// The bodies in the order `threads`.
const KernelTable& concurrent_cuda_table();

enum class Order : std::uint8_t {
  forward,
  backward,  // and so few blocks that every thread takes many samples
  threads,   // blocks shared out between two threads
};

template <Order kOrder>
class HostLauncher {
 public:
  explicit HostLauncher(cuda::Stream) {}

  template <class Body>
  void launch(const Body& body, cuda::Extent extent) noexcept {
    if (extent.width <= 0 || extent.height <= 0) return;
    constexpr std::int64_t kMaxBlocks = kOrder == Order::forward ? 1024 : kOrder == Order::backward ? 2 : 4;
    const cuda::Grid grid = cuda::grid_of(extent, kMaxBlocks);
    if constexpr (kOrder == Order::threads) {
      std::thread other([&] { run_blocks(body, grid, 1, 2); });
      run_blocks(body, grid, 0, 2);
      other.join();
    } else {
      run_blocks(body, grid, 0, 1);
    }
  }

  cuda::Status status() const noexcept { return {cuda::Status::Code::queued, nullptr}; }

 private:
  template <class Body>
  static void run_blocks(const Body& body, const cuda::Grid& grid, std::int64_t begin, std::int64_t step) {
    const std::int64_t blocks = static_cast<std::int64_t>(grid.grid_x) * grid.grid_y;
    const std::int64_t threads = static_cast<std::int64_t>(grid.block_x) * grid.block_y;
    for (std::int64_t i = begin; i < blocks; i += step) {
      for (std::int64_t j = 0; j < threads; ++j) {
        const std::int64_t block = kOrder == Order::backward ? blocks - 1 - i : i;
        const std::int64_t thread = kOrder == Order::backward ? threads - 1 - j : j;
        body(cuda::Lane{block % grid.grid_x * grid.block_x + thread % grid.block_x,
                        block / grid.grid_x * grid.block_y + thread / grid.block_x,
                        static_cast<std::int64_t>(grid.grid_x) * grid.block_x,
                        static_cast<std::int64_t>(grid.grid_y) * grid.block_y});
      }
    }
  }
};

}  // namespace medsam::kernels
