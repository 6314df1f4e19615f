// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The table of the CUDA kernels for the stand-in: their own bodies, queued on a stream as on a GPU.
#include "kernels/cuda/host_launcher.hpp"
#include "support/stand_in/cuda_runtime.hpp"

namespace medsam::kernels::cuda {

namespace {

class QueueLauncher {
 public:
  explicit QueueLauncher(Stream stream) : stream_(static_cast<cudaStream_t>(stream)) {}

  template <class Body>
  void launch(const Body& body, Extent extent) noexcept {
    testing::stream_of(stream_).queued.emplace_back(
        [=] { HostLauncher<Order::backward>(nullptr).launch(body, extent); });
  }
  [[nodiscard]] static Status status() { return {Status::Code::queued, nullptr}; }

 private:
  cudaStream_t stream_;
};

}  // namespace

const Table& table() noexcept {
  static constexpr Table kTable = table_over<QueueLauncher>("CUDA on the host");
  return kTable;
}

}  // namespace medsam::kernels::cuda
