// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A tensor in device memory.
#pragma once

#include <memory>
#include <mutex>

#include "backends/backend.hpp"
#include "backends/tensorrt/cuda_memory.hpp"
#include "backends/tensorrt/pixels.hpp"

namespace medsam::backends::tensorrt {

/// The host's copy is made at the first call of host() and kept.
class DeviceTensor final : public Tensor {
 public:
  /// Uninitialized; filled on `stream`, and described by set_finite, before it is shared.
  DeviceTensor(Shape shape, Device device, const Stream& stream, std::shared_ptr<MaskWriters> masks);
  [[nodiscard]] const float* host() const override;
  [[nodiscard]] bool finite() const override { return finite_; }
  [[nodiscard]] bool writes_masks() const override { return true; }
  [[nodiscard]] kernels::MaskStats write_mask(const Map& map,
                                              const kernels::UpsampleThresholdParams& params) const override;

  [[nodiscard]] void* device_data() const { return buffer_.get(); }
  [[nodiscard]] int device_index() const { return device_.index; }
  void set_finite(bool finite) { finite_ = finite; }
  /// Keeps a copy that has come to the host already.
  void set_host(const void* values);

 private:
  const Device device_;
  DeviceBuffer buffer_;
  std::shared_ptr<MaskWriters> masks_;
  bool finite_ = false;
  mutable std::mutex mutex_;
  mutable std::unique_ptr<HostTensor> host_;
};

}  // namespace medsam::backends::tensorrt
