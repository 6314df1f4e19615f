// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "backends/tensorrt/device_tensor.hpp"

#include <cstring>
#include <utility>

#include "medsam/error.hpp"

namespace medsam::backends::tensorrt {

namespace {

std::size_t bytes_of(const Shape& shape) { return static_cast<std::size_t>(element_count(shape)) * sizeof(float); }

}  // namespace

DeviceTensor::DeviceTensor(Shape shape, Device device, const Stream& stream, std::shared_ptr<MaskWriters> masks)
    : Tensor(std::move(shape)),
      device_(std::move(device)),
      buffer_(device_, bytes_of(this->shape()), stream),
      masks_(std::move(masks)) {}

const float* DeviceTensor::host() const {
  const std::lock_guard lock(mutex_);
  if (!host_) {
    device_.use();
    auto copy = std::make_unique<HostTensor>(shape());
    check(cudaMemcpy(copy->mutable_host(), buffer_.get(), buffer_.bytes(), cudaMemcpyDeviceToHost),
          "copying a tensor to the host");
    host_ = std::move(copy);
  }
  return host_->host();
}

void DeviceTensor::set_host(const void* values) {
  auto copy = std::make_unique<HostTensor>(shape());
  std::memcpy(copy->mutable_host(), values, buffer_.bytes());
  host_ = std::move(copy);
}

kernels::MaskStats DeviceTensor::write_mask(const Map& map, const kernels::UpsampleThresholdParams& params) const {
  if (map.offset < 0 || map.offset + map.height * map.width > element_count(shape())) {
    throw BackendError("tensor: a map outside of it");
  }
  return masks_->write(static_cast<const float*>(buffer_.get()) + map.offset, map, params);
}

}  // namespace medsam::backends::tensorrt
