// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "backends/tensorrt/kept_kernels.hpp"

#include <exception>
#include <utility>

#include "backends/tensorrt/plan.hpp"

namespace medsam::backends::tensorrt {

namespace {

constexpr const char* kKind = "kernels";

}  // namespace

KeptKernels::KeptKernels(nvinfer1::ICudaEngine& engine, Device device, CacheFolder cache, std::string fingerprint)
    : engine_(engine),
      device_(std::move(device)),
      cache_(std::move(cache)),
      fingerprint_(std::move(fingerprint)),
      kernels_(rtx::RuntimeCache::create(engine)) {
  if (!kernels_) return;
  device_.use();  // the library compares what it is given with the current device
  const std::string known = read_kept(cache_, fingerprint_, kKind);
  if (!known.empty() && kernels_->take(known)) kept_bytes_ = known.size();
  static_cast<void>(logger().take_errors());  // of what another driver kept
}

KeptKernels::~KeptKernels() {
  try {
    device_.use();
    keep();
  } catch (const std::exception&) {  // a device that is gone, no memory: the next process compiles again
    return;
  }
}

std::unique_ptr<nvinfer1::IExecutionContext> KeptKernels::create_context() {
  std::unique_ptr<nvinfer1::IExecutionContext> context;
  if (kernels_) context = kernels_->create_context();
  if (!context) context.reset(engine_.createExecutionContext());
  // Not later: other contexts may then be compiling kernels in the background.
  if (std::exchange(first_, false)) keep();
  return context;
}

void KeptKernels::keep() {
  if (!kernels_ || !cache_.usable()) return;
  const std::string bytes = kernels_->bytes();
  if (bytes.size() == kept_bytes_) return;
  write_kept(cache_, fingerprint_, kKind, bytes.data(), bytes.size());
  kept_bytes_ = bytes.size();
}

}  // namespace medsam::backends::tensorrt
