// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The fake backend as a device that has the pixel kernels: the CUDA kernels' own bodies, run on the CPU through the
// launch shim. Memory is the host's, but a look at a tensor from the host is counted.
#pragma once

#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "backends/backend.hpp"
#include "kernels/cuda/host_launcher.hpp"
#include "medsam/error.hpp"
#include "support/fake_backend.hpp"

namespace medsam::testing {

struct FakeDeviceCounters {
  std::atomic<int> host_reads{0}, images{0}, masks{0};
};

inline FakeDeviceCounters& fake_device() {
  static FakeDeviceCounters counters;
  return counters;
}

namespace fake_device_parts {

using backends::Shape;
using backends::TensorPtr;

inline constexpr kernels::cuda::Table kTable =
    kernels::cuda::table_over<kernels::HostLauncher<kernels::Order::forward>>("CUDA on the host");

inline std::vector<std::byte> workspace(std::size_t bytes) { return std::vector<std::byte>(bytes + 64); }
inline void* aligned(std::vector<std::byte>& memory) {
  const auto at = reinterpret_cast<std::uintptr_t>(memory.data());
  return memory.data() + (64 - at % 64) % 64;
}
inline void expect_queued(const kernels::cuda::Status& status) {
  if (status.code != kernels::cuda::Status::Code::queued) throw BackendError("fake device: a kernel was refused");
}

class Tensor final : public backends::Tensor {
 public:
  explicit Tensor(TensorPtr inside) : backends::Tensor(inside->shape()), inside_(std::move(inside)) {}
  [[nodiscard]] const TensorPtr& inside() const { return inside_; }
  [[nodiscard]] const float* host() const override {
    fake_device().host_reads.fetch_add(1);
    return inside_->host();
  }
  [[nodiscard]] bool finite() const override {
    std::int32_t finite = -1;
    expect_queued(kTable.all_finite(inside_->host(), backends::element_count(shape()), &finite, nullptr));
    return finite == 1;
  }
  [[nodiscard]] bool writes_masks() const override { return true; }
  [[nodiscard]] kernels::MaskStats write_mask(const Map& map,
                                              const kernels::UpsampleThresholdParams& params) const override {
    fake_device().masks.fetch_add(1);
    kernels::UpsampleThresholdParams there = params;
    there.logits = inside_->host() + map.offset;
    std::vector<float> square(static_cast<std::size_t>(map.square * map.square));
    if (map.square != 0) {
      expect_queued(kTable.upsample_square(there.logits, map.height, map.width, map.square, square.data(), nullptr));
      there.logits = square.data();
    }
    auto scratch = workspace(kTable.upsample_threshold_workspace(there));
    kernels::cuda::MaskCounts counts{};
    expect_queued(kTable.upsample_threshold(there, &counts, aligned(scratch), nullptr));
    return kernels::cuda::stats_of(counts);
  }

 private:
  TensorPtr inside_;
};

class Request final : public backends::Request {
 public:
  explicit Request(std::unique_ptr<backends::Request> inside) : inside_(std::move(inside)) {}
  void* input(std::size_t index, const Shape& shape) override { return inside_->input(index, shape); }
  bool input_image(std::size_t index, const kernels::Pixels& image,
                   const kernels::ResizeNormalizeParams& params) override {
    if (kTable.resize_normalize_refusal(image, params) != nullptr) return false;
    fake_device().images.fetch_add(1);
    auto* out = static_cast<float*>(inside_->input(index, {1, 3, params.out_size, params.out_size}));
    auto scratch = workspace(kTable.resize_normalize_workspace(image, params));
    expect_queued(kTable.resize_normalize(image, params, out, &finite_, aligned(scratch), nullptr));
    return true;
  }
  void bind(std::size_t index, const TensorPtr& tensor) override {
    const auto* own = dynamic_cast<const Tensor*>(tensor.get());
    inside_->bind(index, own != nullptr ? own->inside() : tensor);
  }
  std::vector<TensorPtr> run() override {
    if (finite_ != 1) throw InvalidArgument(backends::kImageNotFinite);
    std::vector<TensorPtr> outputs = inside_->run();
    outputs[0] = std::make_shared<Tensor>(outputs[0]);  // the ratings are a few numbers
    return outputs;
  }

 private:
  std::unique_ptr<backends::Request> inside_;
  std::int32_t finite_ = 1;
};

class Model final : public backends::CompiledModel {
 public:
  explicit Model(std::shared_ptr<const backends::CompiledModel> inside) : inside_(std::move(inside)) {}
  [[nodiscard]] std::unique_ptr<backends::Request> create_request() const override {
    return std::make_unique<Request>(inside_->create_request());
  }

 private:
  std::shared_ptr<const backends::CompiledModel> inside_;
};

class Backend final : public backends::Backend {
 public:
  explicit Backend(std::unique_ptr<backends::Backend> inside) : inside_(std::move(inside)) {}
  [[nodiscard]] std::string library() const override { return inside_->library(); }
  [[nodiscard]] std::string device_name() const override { return inside_->device_name(); }
  [[nodiscard]] std::string device_id() const override { return inside_->device_id(); }
  [[nodiscard]] bool native(const std::string& format) const override { return inside_->native(format); }
  [[nodiscard]] std::shared_ptr<const backends::CompiledModel> compile(const ModelSource& model,
                                                                       const backends::CompileOptions& options,
                                                                       const CacheFolder& cache) const override {
    return std::make_shared<Model>(inside_->compile(model, options, cache));
  }

 private:
  std::unique_ptr<backends::Backend> inside_;
};

}  // namespace fake_device_parts

/// For FakeBackendCounters::device.
inline std::unique_ptr<backends::Backend> as_device(std::unique_ptr<backends::Backend> backend) {
  return std::make_unique<fake_device_parts::Backend>(std::move(backend));
}

}  // namespace medsam::testing
