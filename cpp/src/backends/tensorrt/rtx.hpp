// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What TensorRT for RTX can do beyond the published headers, which are TensorRT's: choose the generation that a plan is
// for, and keep the kernels that it compiles of a plan on the device. Called by slot;
// tests/python/tools/gpu/test_rtx_layout.py finds the slots of a release by its own Python bindings, and library.cpp
// takes only releases that passed there.
#pragma once

#include <NvInfer.h>

#include <memory>
#include <string>

namespace medsam::backends::tensorrt::rtx {

/// Makes a build compile for one generation, e.g. "sm_89", and no other. False where the library knows none such.
bool build_for(nvinfer1::IBuilderConfig& config, const std::string& target);

/// Something of the library's that this program deletes, laid out as all of its objects are.
class Owned {
 public:
  virtual ~Owned() noexcept = default;
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;

 protected:
  Owned() = default;
  void* implementation_ = nullptr;
};

/// The kernels that the library compiled of a plan for the GPU at hand: for the first context, and as shapes come. Must
/// outlive its contexts, and its engine must outlive it.
class RuntimeCache {
 public:
  /// Nothing where the library has none to give.
  static std::unique_ptr<RuntimeCache> create(nvinfer1::ICudaEngine& engine);
  /// Takes what bytes() gave before. False, and nothing changed, where the library finds that it is for another GPU,
  /// driver or release.
  bool take(const std::string& bytes);
  [[nodiscard]] std::string bytes() const;
  /// A context that takes its kernels from here and adds those it has to compile; nullptr where that fails.
  [[nodiscard]] std::unique_ptr<nvinfer1::IExecutionContext> create_context() const;

 private:
  nvinfer1::ICudaEngine* engine_ = nullptr;
  std::unique_ptr<Owned> config_, cache_;
};

}  // namespace medsam::backends::tensorrt::rtx
