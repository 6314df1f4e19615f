// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A plan in memory and the requests that run it: one execution context, stream and set of buffers each.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backends/backend.hpp"
#include "backends/tensorrt/cuda_memory.hpp"
#include "backends/tensorrt/device_tensor.hpp"
#include "backends/tensorrt/kept_kernels.hpp"
#include "backends/tensorrt/library.hpp"

namespace medsam::backends::tensorrt {

/// What all requests of a plan share. Immutable but for the lock.
struct LoadedPlan {
  Device device;
  std::string path;  // of the graph, for messages
  std::vector<TensorSpec> inputs, outputs;
  std::unique_ptr<nvinfer1::IRuntime> runtime;  // outlives the engine, as TensorRT demands
  std::unique_ptr<nvinfer1::ICudaEngine> engine;
  std::unique_ptr<KeptKernels> kernels;  // of TensorRT for RTX; gone before the engine
  std::shared_ptr<MaskWriters> masks;
  bool fixed = true;         // every input has one shape
  mutable std::mutex mutex;  // guards the creation of contexts
};

class Model final : public CompiledModel {
 public:
  /// Takes a plan onto the device; `cache` and `fingerprint` are the plan's. BackendError when the library refuses it.
  Model(const Library& library, const Device& device, const ModelFile& file, const std::vector<char>& plan,
        const CacheFolder& cache, const std::string& fingerprint);
  [[nodiscard]] std::unique_ptr<Request> create_request() const override;
  [[nodiscard]] std::size_t largest_batch() const override;

 private:
  std::shared_ptr<LoadedPlan> plan_;
};

}  // namespace medsam::backends::tensorrt
