// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The CUDA device, a stream, and memory on both sides of the bus, each released with its object.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>

#include "../backend.hpp"

namespace medsam::backends::tensorrt {

/// OutOfMemory or BackendError with CUDA's own words, unless `status` is success.
void check(cudaError_t status, const char* what);

/// One GPU. Immutable.
struct Device {
  int index = 0;
  std::string name;              // "NVIDIA GeForce RTX 4090"
  std::string target;            // "sm_89"
  int capability = 0;            // 89
  cudaMemPool_t pool = nullptr;  // stream-ordered memory of the engine's own; nullptr where the device has none

  /// Makes it the calling thread's device; every entry from the engine begins with it.
  void use() const;
};

/// Unsupported, in one line, without a driver or such a device.
Device find_device(int index);

class Stream {
 public:
  Stream();
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  [[nodiscard]] cudaStream_t get() const { return stream_; }
  void wait() const;

 private:
  cudaStream_t stream_ = nullptr;
};

/// Device memory. Freed without waiting: whoever used it has waited.
class DeviceBuffer {
 public:
  /// `stream` orders the allocation. OutOfMemory.
  DeviceBuffer(Device device, std::size_t bytes, const Stream& stream);
  ~DeviceBuffer();
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;
  [[nodiscard]] void* get() const { return data_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  const Device device_;
  std::size_t bytes_;
  void* data_ = nullptr;
};

/// Page-locked host memory, from which the device copies without a detour.
class PinnedBuffer {
 public:
  explicit PinnedBuffer(std::size_t bytes);
  ~PinnedBuffer();
  PinnedBuffer(const PinnedBuffer&) = delete;
  PinnedBuffer& operator=(const PinnedBuffer&) = delete;
  [[nodiscard]] void* get() const { return data_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  std::size_t bytes_;
  void* data_ = nullptr;
};

/// A tensor on the device; the host's copy is made at the first call of host() and kept.
class DeviceTensor final : public Tensor {
 public:
  /// Uninitialised; filled on `stream` before sharing.
  DeviceTensor(Shape shape, Device device, const Stream& stream);
  [[nodiscard]] const float* host() const override;
  [[nodiscard]] bool finite() const override;
  [[nodiscard]] void* device_data() const { return buffer_.get(); }
  [[nodiscard]] int device_index() const { return device_.index; }

 private:
  const Device device_;
  DeviceBuffer buffer_;
  mutable std::mutex mutex_;
  mutable std::unique_ptr<HostTensor> host_;
};

}  // namespace medsam::backends::tensorrt
