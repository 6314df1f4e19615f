// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The CUDA kernels on the first GPU. Without one the program says why and exits with 77, which ctest counts as skipped;
// before that it sees that the table itself reports the missing device.
#include <cuda_runtime_api.h>

#include <cstdio>
#include <stdexcept>
#include <string>

#include "kernels/cuda/cuda_adapter.hpp"
#include "kernels/support/tables_under_test.hpp"

namespace medsam::kernels {
namespace {

void check(cudaError_t error) {
  if (error != cudaSuccess) throw std::runtime_error(std::string("CUDA: ") + cudaGetErrorString(error));
}

struct Device {
  static const cuda::Table& table() { return cuda::table(); }
  /// Not the default stream: work that a kernel put there would not be waited for.
  static cuda::Stream stream() {
    static const cudaStream_t kStream = [] {
      cudaStream_t made = nullptr;
      check(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking));
      return made;
    }();
    return kStream;
  }

  class Buffer {
   public:
    Buffer(const void* from, std::size_t bytes) : bytes_(bytes) {
      check(cudaMalloc(&memory_, bytes));
      check(cudaMemcpy(memory_, from, bytes, cudaMemcpyHostToDevice));
      check(cudaDeviceSynchronize());
    }
    ~Buffer() { cudaFree(memory_); }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    void* data() { return memory_; }
    void fetch(void* to) const {
      check(cudaStreamSynchronize(static_cast<cudaStream_t>(stream())));
      check(cudaMemcpy(to, memory_, bytes_, cudaMemcpyDeviceToHost));
    }

   private:
    void* memory_ = nullptr;
    std::size_t bytes_;
  };
};

}  // namespace

std::vector<const KernelTable*> tables_under_test() {
  static const KernelTable kTable = Adapted<Device>::table("CUDA");
  return {&kTable};
}

std::vector<CudaOnly> cuda_only_under_test() { return {Adapted<Device>::only("CUDA")}; }

bool refused(const Pixels& image, const ResizeNormalizeParams& params) {
  return cuda::table().resize_normalize_refusal(image, params) != nullptr;
}

}  // namespace medsam::kernels

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  int devices = 0;
  const cudaError_t error = cudaGetDeviceCount(&devices);
  if (error == cudaSuccess && devices > 0) return RUN_ALL_TESTS();
  cudaGetLastError();
  std::uint16_t half = 0;
  float value = 0;
  const auto status = medsam::kernels::cuda::table().from_f16(&half, &value, 1, nullptr);
  if (status.code != medsam::kernels::cuda::Status::Code::failed || status.message == nullptr) {
    std::printf("without a device the table must fail and say so\n");
    return 1;
  }
  std::printf("skipped: no CUDA device (%s); the table says %s\n", cudaGetErrorString(error), status.message);
  return 77;
}
