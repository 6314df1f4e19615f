// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The runtime cache of TensorRT for RTX over the stand-in: a "kernel" is a name, compiled when it is first asked for.
#pragma once

#include <NvInfer.h>

#include <mutex>
#include <set>
#include <string>

#include "backends/tensorrt/rtx.hpp"
#include "support/stand_in/cuda_runtime.hpp"
#include "support/stand_in/slots.hpp"

namespace medsam::testing {

struct HostMemory final : nvinfer1::IHostMemory {
  struct Impl {
    void* const* table;
    HostMemory* self;
  } impl;
  explicit HostMemory(std::string content) : bytes(std::move(content)) {
    static const Table kTable{{2, slot(&data)}, {3, slot(&size)}};
    impl = {kTable.slots, this};
    mImpl = reinterpret_cast<nvinfer1::apiv::VHostMemory*>(&impl);
  }
  std::string bytes;

  static void* data(Impl* i) { return i->self->bytes.data(); }
  static std::size_t size(Impl* i) { return i->self->bytes.size(); }
};

class RuntimeCache final : public backends::tensorrt::rtx::Owned {
 public:
  RuntimeCache() {
    static const Table kTable{{2, slot(&serialize)}, {3, slot(&deserialize)}};
    impl_ = {kTable.slots, this};
    implementation_ = &impl_;
  }
  void need(const std::string& kernel) {
    const std::lock_guard lock(mutex_);
    if (kernels_.insert(kernel).second) ++kernels_compiled;
  }

 private:
  struct Impl {
    void* const* table;
    RuntimeCache* self;
  };
  static nvinfer1::IHostMemory* serialize(Impl* i) {
    const std::lock_guard lock(i->self->mutex_);
    std::string text = kHead;
    for (const std::string& kernel : i->self->kernels_) text += kernel + "\n";
    return new HostMemory(text);
  }
  static bool deserialize(Impl* i, const void* data, std::size_t size) {
    const std::string text(static_cast<const char*>(data), size), head = kHead;
    if (!text.starts_with(head)) return false;  // as one of another driver
    for (std::size_t at = head.size(), end = 0; at < size; at = end + 1) {
      end = text.find('\n', at);
      i->self->kernels_.insert(text.substr(at, end - at));
    }
    return true;
  }

  static constexpr const char* kHead = "kernels of the stand-in's driver\n";
  Impl impl_{};
  std::mutex mutex_;
  std::set<std::string> kernels_;
};

class RuntimeConfig final : public backends::tensorrt::rtx::Owned {
 public:
  RuntimeConfig() {
    static const Table kTable{{5, slot(&create_cache)}, {6, slot(&set_cache)}};
    impl_ = {kTable.slots, this};
    implementation_ = &impl_;
  }
  RuntimeCache* cache = nullptr;

 private:
  struct Impl {
    void* const* table;
    RuntimeConfig* self;
  };
  static RuntimeCache* create_cache(Impl*) { return new RuntimeCache(); }
  static bool set_cache(Impl* i, RuntimeCache* cache) {
    i->self->cache = cache;
    return true;
  }
  Impl impl_{};
};

}  // namespace medsam::testing
