// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#pragma once

#include <cstddef>
#include <memory>
#include <new>

namespace medsam {

/// Uninitialized memory for a kernel, aligned to 64 bytes; data() is null for 0 bytes.
class Scratch {
 public:
  explicit Scratch(std::size_t bytes) {
    if (bytes == 0) return;
    data_.reset(::operator new(bytes, kAlignment));
  }
  [[nodiscard]] void* data() const { return data_.get(); }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Free {
    void operator()(void* p) const { ::operator delete(p, kAlignment); }
  };
  std::unique_ptr<void, Free> data_;
};

}  // namespace medsam
