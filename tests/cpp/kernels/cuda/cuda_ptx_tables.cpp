// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The compiled CUDA kernels (their PTX, translated by ptx_to_cpp.py) on the CPU, launched as on a GPU.
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <typeinfo>

#include "kernels/cuda/cuda_adapter.hpp"
#include "kernels/cuda/ptx_warp.hpp"
#include "kernels/pixels/cuda/table.cuh"
#include "kernels/support/host_buffer.hpp"
#include "kernels/support/tables_under_test.hpp"

namespace medsam::kernels {
namespace ptx {

std::uint64_t Thread::exchange(std::uint64_t value, std::uint64_t offset, std::uint64_t clamp,
                               std::uint64_t members) const {
  EXPECT_EQ(get<std::uint32_t>(clamp), 31U);  // with all members: the exchange is over the whole warp
  EXPECT_EQ(get<std::uint32_t>(members), 0xFFFFFFFFU);
  return swap(value, get<std::uint32_t>(offset));
}

namespace {

/// The compiled kernel of a body; null, with a failure, where there is none.
template <class Body>
const Kernel* find_kernel() {
  static const Kernel* const kFound = [] {
    const std::string type = typeid(Body).name(), scope = "N6medsam7kernels4cuda";
    const std::string body = type.substr(scope.size(), type.size() - scope.size() - 1);  // less the closing E
    for (std::size_t i = 0; i < kKernelCount; ++i) {
      if (body == kKernels[i].body) return &kKernels[i];
    }
    ADD_FAILURE() << "no compiled kernel for " << type;
    return static_cast<const Kernel*>(nullptr);
  }();
  return kFound;
}

class Launcher {
 public:
  explicit Launcher(cuda::Stream) {}

  template <class Body>
  void launch(const Body& body, cuda::Extent extent) noexcept {
    const Kernel* kernel = find_kernel<Body>();
    if (kernel == nullptr || extent.width <= 0 || extent.height <= 0) return;
    const cuda::Grid grid = cuda::grid_of(extent, 2);  // fibers are slow: few blocks, whose threads take many samples
    Warp warp(*kernel, address_of(&body));
    const std::uint64_t threads = std::uint64_t{grid.block_x} * grid.block_y;
    for (std::uint64_t block = 0; block < std::uint64_t{grid.grid_x} * grid.grid_y; ++block) {
      for (std::uint64_t first = 0; first < threads; first += kWarp) {
        run_warp(*kernel, address_of(&body), grid, block, first, warp);
      }
    }
  }

  cuda::Status status() const noexcept { return {cuda::Status::Code::queued, nullptr}; }

 private:
  static void run_warp(const Kernel& kernel, std::uint64_t param, const cuda::Grid& grid, std::uint64_t block,
                       std::uint64_t first, Warp& warp) {
    std::array<Thread, kWarp> lanes;
    for (std::uint64_t i = 0; i < kWarp; ++i) {
      const std::uint64_t thread = first + i;
      lanes[i] = {block % grid.grid_x, block / grid.grid_x,   grid.block_x,
                  grid.block_y,        thread % grid.block_x, thread / grid.block_x,
                  grid.grid_x,         grid.grid_y,           {}};
    }
    if (kernel.shuffles) {
      warp.run(lanes);
    } else {
      for (Thread& lane : lanes) kernel.run(param, lane);
    }
  }
};

struct Compiled {
  static const cuda::Table& table() {
    static constexpr cuda::Table kTable = cuda::table_over<Launcher>("compiled CUDA on the host");
    return kTable;
  }
  static cuda::Stream stream() { return nullptr; }
  using Buffer = HostBuffer;
};

}  // namespace
}  // namespace ptx

std::vector<const KernelTable*> tables_under_test() {
  static const KernelTable kTable = Adapted<ptx::Compiled>::table("CUDA, compiled");
  return {&kTable};
}

std::vector<CudaOnly> cuda_only_under_test() { return {Adapted<ptx::Compiled>::only("CUDA, compiled")}; }

bool refused(const Pixels& image, const ResizeNormalizeParams& params) {
  return cuda::resize_normalize_refusal(image, params) != nullptr;
}

}  // namespace medsam::kernels
