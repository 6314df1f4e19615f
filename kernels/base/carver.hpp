// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Carves typed arrays out of the caller's scratch memory. Run over a null base it only measures, so that one function
// both sizes a layout and fills it in.
#pragma once

#include <cstddef>

namespace medsam::kernels {

class Carver {
 public:
  explicit Carver(void* base) noexcept : base_(static_cast<std::byte*>(base)) {}

  /// `count` elements at the next 64-byte boundary, plus 64 bytes so that a whole vector may be read or written past
  /// the end.
  template <typename T>
  T* take(std::size_t count) noexcept {
    const std::size_t at = used_;
    used_ = (used_ + count * sizeof(T) + kSlack + kAlign - 1) / kAlign * kAlign;
    return base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + at);
  }

  bool measuring() const noexcept { return base_ == nullptr; }
  std::size_t used() const noexcept { return used_; }

 private:
  static constexpr std::size_t kAlign = 64;
  static constexpr std::size_t kSlack = 64;
  std::byte* base_;
  std::size_t used_ = 0;
};

}  // namespace medsam::kernels
