// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The two ends of an image's way over the bus: pixels to an encoder's input, logits to a mask, by kernels/pixels/cuda.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "backends/backend.hpp"
#include "backends/tensorrt/cuda_memory.hpp"
#include "kernels/pixels/cuda/cuda_kernels.hpp"

namespace medsam::backends::tensorrt {

/// BackendError unless the kernels' work was queued.
void check_queued(const kernels::cuda::Status& status, const char* what);

/// What kernels leave for the host to know: one integer each, fetched in one copy.
class Flags {
 public:
  Flags(const Device& device, std::size_t count, const Stream& stream);
  /// For a kernel to write.
  [[nodiscard]] std::int32_t* slot(std::size_t index) const;
  /// Queues the copy.
  void fetch(const Stream& stream) const;
  /// After the stream has been waited for.
  [[nodiscard]] bool get(std::size_t index) const;

 private:
  DeviceBuffer device_;
  PinnedBuffer host_;
};

/// An image for the device to resize and normalize. One a request.
class ImageUpload {
 public:
  /// Packs the image's rows into page-locked memory. False where the kernels leave it to the CPU.
  bool take(const kernels::Pixels& image, const kernels::ResizeNormalizeParams& params);
  /// Queues the copy of the last image taken and the kernels on it; *finite becomes 0 for NaN or infinity.
  void queue(const Device& device, const Stream& stream, float* out, std::int32_t* finite);

 private:
  kernels::Pixels image_{};
  kernels::ResizeNormalizeParams params_{};
  std::size_t used_ = 0;
  std::unique_ptr<PinnedBuffer> staging_;
  std::unique_ptr<DeviceBuffer> pixels_, workspace_;
};

/// Makes masks of maps on a device. Thread-safe: every call at work has a stream and memory of its own, from a pool.
class MaskWriters {
 public:
  explicit MaskWriters(Device device);
  ~MaskWriters();
  MaskWriters(const MaskWriters&) = delete;
  MaskWriters& operator=(const MaskWriters&) = delete;
  /// `logits`: the map's first element, on the device. BackendError, OutOfMemory.
  kernels::MaskStats write(const float* logits, const Tensor::Map& map, const kernels::UpsampleThresholdParams& params);

 private:
  class Writer;
  const Device device_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Writer>> idle_;  // guarded by mutex_
};

}  // namespace medsam::backends::tensorrt
