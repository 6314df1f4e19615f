// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <new>

namespace medsam::kernels {

/// The Buffer of cuda_adapter.hpp in host memory, exactly `bytes` long so that a sanitizer sees a step beyond.
class HostBuffer {
 public:
  HostBuffer(const void* from, std::size_t bytes)
      : memory_(static_cast<std::byte*>(::operator new[](bytes, std::align_val_t{64}))), bytes_(bytes) {
    if (bytes > 0) std::memcpy(memory_.get(), from, bytes);
  }
  void* data() { return memory_.get(); }
  void fetch(void* to) const {
    if (bytes_ > 0) std::memcpy(to, memory_.get(), bytes_);
  }

 private:
  struct Deleter {
    void operator()(std::byte* p) const { ::operator delete[](p, std::align_val_t{64}); }
  };
  std::unique_ptr<std::byte, Deleter> memory_;
  std::size_t bytes_;
};

}  // namespace medsam::kernels
