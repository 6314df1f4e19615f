// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Memory that a Carver divides.
#pragma once

#include <cstddef>
#include <memory>

#include "kernels/base/carver.hpp"

namespace medsam::backends::native {

/// A cache line: what threads write lies apart, and blocks of sums may be stored aligned.
constexpr std::size_t kAlignment = 64;
constexpr std::size_t aligned(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

/// Aligned bytes, which grow and are never fewer; what they hold is undefined after they grew.
class Block {
 public:
  /// std::bad_alloc, and then there are none.
  void reserve(std::size_t bytes);
  [[nodiscard]] std::byte* data() const { return data_.get(); }

 private:
  struct Free {
    void operator()(std::byte* p) const;
  };
  std::unique_ptr<std::byte[], Free> data_;
  std::size_t bytes_ = 0;
};

/// Runs `take` over a Carver that measures, then over the block, which has grown to fit.
template <class Take>
void lay_out(Block& block, const Take& take) {
  kernels::Carver measure(nullptr);
  take(measure);
  block.reserve(measure.used());
  kernels::Carver carver(block.data());
  take(carver);
}

}  // namespace medsam::backends::native
