// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "backends/native/block.hpp"

#include <new>

namespace medsam::backends::native {

void Block::Free::operator()(std::byte* p) const { ::operator delete[](p, std::align_val_t(kAlignment)); }

void Block::reserve(std::size_t bytes) {
  if (bytes <= bytes_) return;
  data_.reset();
  bytes_ = 0;
  data_.reset(static_cast<std::byte*>(::operator new[](bytes, std::align_val_t(kAlignment))));
  bytes_ = bytes;
}

}  // namespace medsam::backends::native
