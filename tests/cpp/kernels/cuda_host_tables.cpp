// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The CUDA kernels' bodies, compiled by the host's compiler. The sweeps run them in two orders of threads; a third,
// with threads side by side, serves test_cuda.cpp: under ThreadSanitizer a whole sweep of it would take minutes.
#include <cstring>
#include <memory>
#include <new>

#include "cuda_adapter.hpp"
#include "host_launcher.hpp"
#include "tables_under_test.hpp"

namespace medsam::kernels {
namespace {

template <Order kOrder>
struct Host {
  static const cuda::Table& table() {
    static constexpr cuda::Table kTable = cuda::table_over<HostLauncher<kOrder>>("CUDA on the host");
    return kTable;
  }
  static cuda::Stream stream() { return nullptr; }

  class Buffer {
   public:
    Buffer(const void* from, std::size_t bytes)
        : memory_(static_cast<std::byte*>(::operator new[](bytes, std::align_val_t{64}))), bytes_(bytes) {
      if (bytes > 0) std::memcpy(memory_.get(), from, bytes);
    }
    void* data() { return memory_.get(); }
    void fetch(void* to) const {
      if (bytes_ > 0) std::memcpy(to, memory_.get(), bytes_);
    }

   private:
    struct Deleter {
      void operator()(std::byte* p) const { ::operator delete[](p, std::align_val_t{64}); }
    };
    std::unique_ptr<std::byte, Deleter> memory_;
    std::size_t bytes_;
  };
};

}  // namespace

std::vector<const KernelTable*> tables_under_test() {
  static const KernelTable kForward = Adapted<Host<Order::forward>>::table("CUDA bodies, forward");
  static const KernelTable kBackward = Adapted<Host<Order::backward>>::table("CUDA bodies, backward");
  return {&kForward, &kBackward};
}

const KernelTable& concurrent_cuda_table() {
  static const KernelTable kThreads = Adapted<Host<Order::threads>>::table("CUDA bodies, threads");
  return kThreads;
}

bool refused(const Pixels& image, const ResizeNormalizeParams& params) {
  return cuda::resize_normalize_refusal(image, params) != nullptr;
}

}  // namespace medsam::kernels
