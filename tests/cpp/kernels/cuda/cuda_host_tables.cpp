// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The CUDA kernels' bodies, compiled by the host's compiler. The sweeps run them in two orders of threads; a third,
// with threads side by side, serves test_cuda.cpp: under ThreadSanitizer a whole sweep of it would take minutes.
#include "kernels/cuda/cuda_adapter.hpp"
#include "kernels/cuda/host_launcher.hpp"
#include "kernels/support/host_buffer.hpp"
#include "kernels/support/tables_under_test.hpp"

namespace medsam::kernels {
namespace {

template <Order kOrder>
struct Host {
  static const cuda::Table& table() {
    static constexpr cuda::Table kTable = cuda::table_over<HostLauncher<kOrder>>("CUDA on the host");
    return kTable;
  }
  static cuda::Stream stream() { return nullptr; }

  using Buffer = HostBuffer;
};

}  // namespace

std::vector<const KernelTable*> tables_under_test() {
  static const KernelTable kForward = Adapted<Host<Order::forward>>::table("CUDA bodies, forward");
  static const KernelTable kBackward = Adapted<Host<Order::backward>>::table("CUDA bodies, backward");
  return {&kForward, &kBackward};
}

std::vector<CudaOnly> cuda_only_under_test() {
  return {Adapted<Host<Order::forward>>::only("CUDA bodies, forward"),
          Adapted<Host<Order::backward>>::only("CUDA bodies, backward"),
          Adapted<Host<Order::threads>>::only("CUDA bodies, threads")};
}

const KernelTable& concurrent_cuda_table() {
  static const KernelTable kThreads = Adapted<Host<Order::threads>>::table("CUDA bodies, threads");
  return kThreads;
}

bool refused(const Pixels& image, const ResizeNormalizeParams& params) {
  return cuda::resize_normalize_refusal(image, params) != nullptr;
}

}  // namespace medsam::kernels
