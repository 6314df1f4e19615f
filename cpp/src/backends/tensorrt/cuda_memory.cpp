// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "backends/tensorrt/cuda_memory.hpp"

#include <cstdint>
#include <map>
#include <mutex>
#include <utility>

#include "medsam/error.hpp"

namespace medsam::backends::tensorrt {

namespace {

constexpr std::uint64_t kKeptBytes = std::uint64_t{256} << 20;

// One a device for the life of the process, since tensors may outlive their engine. Not CUDA's default pool, whose
// settings belong to the host program: memory given back is kept for the next image.
cudaMemPool_t memory_pool(int device) {
  static std::mutex mutex;
  static auto* pools = new std::map<int, cudaMemPool_t>();
  const std::lock_guard lock(mutex);
  const auto known = pools->find(device);
  if (known != pools->end()) return known->second;
  int supported = 0;
  check(cudaDeviceGetAttribute(&supported, cudaDevAttrMemoryPoolsSupported, device), "asking for an attribute");
  cudaMemPool_t pool = nullptr;
  if (supported != 0) {
    cudaMemPoolProps properties{};
    properties.allocType = cudaMemAllocationTypePinned;
    properties.location.type = cudaMemLocationTypeDevice;
    properties.location.id = device;
    check(cudaMemPoolCreate(&pool, &properties), "creating a memory pool");
    std::uint64_t keep = kKeptBytes;
    check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep), "setting up a memory pool");
  }
  return (*pools)[device] = pool;
}

}  // namespace

void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());  // the error is reported here, not again by a later call
  const std::string text =
      std::string("CUDA: ") + what + ": " + cudaGetErrorName(status) + " (" + cudaGetErrorString(status) + ")";
  if (status == cudaErrorMemoryAllocation) {
    throw OutOfMemory(text + "; use fewer prompts at once, a smaller embedding cache, or device \"CPU\"");
  }
  throw BackendError(text);
}

void Device::use() const { check(cudaSetDevice(index), "choosing the device"); }

Device find_device(int index) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  static_cast<void>(cudaGetLastError());
  const std::string wanted = "device: got \"cuda:" + std::to_string(index) + "\", but ";
  if (status == cudaErrorInsufficientDriver || status == cudaErrorNoDevice || (status == cudaSuccess && count == 0)) {
    throw Unsupported(wanted + "there is no NVIDIA driver or no GPU (" + cudaGetErrorName(status) +
                      "); install the driver, or use device \"CPU\"");
  }
  if (status != cudaSuccess) {
    throw Unsupported(wanted + "CUDA does not start here: " + cudaGetErrorName(status) + " (" +
                      cudaGetErrorString(status) + "); use device \"CPU\"");
  }
  if (index >= count) {
    throw Unsupported(wanted + "there are " + std::to_string(count) +
                      " CUDA devices, numbered from 0; use one of them");
  }
  Device device;
  device.index = index;
  device.use();
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, index), "asking for a device's name");
  device.name = properties.name;
  device.capability = properties.major * 10 + properties.minor;
  device.target = "sm_" + std::to_string(device.capability);
  device.pool = memory_pool(index);
  return device;
}

Stream::Stream() {
  // Not tied to the legacy default stream, on which other libraries of the host program may work.
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "creating a stream");
}

Stream::~Stream() { static_cast<void>(cudaStreamDestroy(stream_)); }

void Stream::wait() const { check(cudaStreamSynchronize(stream_), "waiting for the device"); }

DeviceBuffer::DeviceBuffer(Device device, std::size_t bytes, const Stream& stream)
    : device_(std::move(device)), bytes_(bytes) {
  const cudaError_t status = device_.pool != nullptr
                                 ? cudaMallocFromPoolAsync(&data_, bytes_, device_.pool, stream.get())
                                 : cudaMalloc(&data_, bytes_);
  check(status, "allocating device memory");
}

DeviceBuffer::~DeviceBuffer() {
  if (data_ == nullptr || cudaSetDevice(device_.index) != cudaSuccess) return;
  static_cast<void>(device_.pool != nullptr ? cudaFreeAsync(data_, nullptr) : cudaFree(data_));
}

PinnedBuffer::PinnedBuffer(std::size_t bytes) : bytes_(bytes) {
  check(cudaMallocHost(&data_, bytes_), "allocating page-locked memory");
}

PinnedBuffer::~PinnedBuffer() { static_cast<void>(cudaFreeHost(data_)); }

void grow(std::unique_ptr<DeviceBuffer>& buffer, const Device& device, std::size_t bytes, const Stream& stream) {
  if (!buffer || buffer->bytes() < bytes) buffer = std::make_unique<DeviceBuffer>(device, bytes, stream);
}

void grow(std::unique_ptr<PinnedBuffer>& buffer, std::size_t bytes) {
  if (!buffer || buffer->bytes() < bytes) buffer = std::make_unique<PinnedBuffer>(bytes);
}

}  // namespace medsam::backends::tensorrt
