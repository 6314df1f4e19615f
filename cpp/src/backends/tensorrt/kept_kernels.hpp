// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The kernels that TensorRT for RTX compiles of a plan on the device, kept beside the plan so that the next process
// need not compile them.
#pragma once

#include <memory>
#include <string>

#include "backends/tensorrt/cuda_memory.hpp"
#include "backends/tensorrt/rtx.hpp"
#include "base/cache_folder.hpp"

namespace medsam::backends::tensorrt {

/// Of one plan. Outlives the contexts it makes; the engine outlives it. One thread at a time.
class KeptKernels {
 public:
  /// Takes what is in the cache under the plan's fingerprint.
  KeptKernels(nvinfer1::ICudaEngine& engine, Device device, CacheFolder cache, std::string fingerprint);
  /// Keeps the kernels that were compiled since, as prompts of other numbers came.
  ~KeptKernels();
  KeptKernels(const KeptKernels&) = delete;
  KeptKernels& operator=(const KeptKernels&) = delete;

  /// Keeps what the first context compiled: a process may end without a word. nullptr when the library makes none.
  [[nodiscard]] std::unique_ptr<nvinfer1::IExecutionContext> create_context();

 private:
  void keep();

  nvinfer1::ICudaEngine& engine_;
  const Device device_;
  const CacheFolder cache_;
  const std::string fingerprint_;
  std::unique_ptr<rtx::RuntimeCache> kernels_;  // none where the library gives none
  std::size_t kept_bytes_ = 0;                  // kernels are only ever added
  bool first_ = true;
};

}  // namespace medsam::backends::tensorrt
