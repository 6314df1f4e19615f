// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The CUDA device, a stream, and memory on both sides of the bus, each released with its object.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <memory>
#include <string>

#include "backends/backend.hpp"

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

/// Makes `buffer` at least `bytes` large; what it held is lost. Whoever used it has waited.
void grow(std::unique_ptr<DeviceBuffer>& buffer, const Device& device, std::size_t bytes, const Stream& stream);
void grow(std::unique_ptr<PinnedBuffer>& buffer, std::size_t bytes);

}  // namespace medsam::backends::tensorrt
