// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The GPU's launcher and table; the only file that needs nvcc. Compiled with --fmad=false: every multiply and add keeps
// the oracle's rounding, the few FMAs are written out.
#include <cuda_runtime_api.h>

#include "kernels/pixels/cuda/table.cuh"

namespace medsam::kernels::cuda {
namespace {

constexpr int kThreads = 256;

template <class Body>
__global__ void __launch_bounds__(kThreads) run(const Body body) {
  const Lane lane{static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x,
                  static_cast<std::int64_t>(blockIdx.y) * blockDim.y + threadIdx.y,
                  static_cast<std::int64_t>(gridDim.x) * blockDim.x, static_cast<std::int64_t>(gridDim.y) * blockDim.y};
  body(lane);
}

class StreamLauncher {
 public:
  explicit StreamLauncher(Stream stream) noexcept : stream_(static_cast<cudaStream_t>(stream)) {}

  template <class Body>
  void launch(const Body& body, Extent extent) noexcept {
    if (error_ != cudaSuccess || extent.width <= 0 || extent.height <= 0) return;
    const Grid g = grid_of(extent);
    void* arguments[] = {const_cast<Body*>(&body)};
    error_ = cudaLaunchKernel(reinterpret_cast<const void*>(&run<Body>), dim3(g.grid_x, g.grid_y),
                              dim3(g.block_x, g.block_y), arguments, 0, stream_);
    if (error_ != cudaSuccess) cudaGetLastError();  // reported here; it must not show again at the caller's next call
  }

  Status status() const noexcept {
    if (error_ == cudaSuccess) return {Status::Code::queued, nullptr};
    return {Status::Code::failed, cudaGetErrorName(error_)};
  }

 private:
  cudaStream_t stream_;
  cudaError_t error_ = cudaSuccess;
};

}  // namespace

const Table& table() noexcept {
  static constexpr Table kTable = table_over<StreamLauncher>("CUDA");
  return kTable;
}

}  // namespace medsam::kernels::cuda
