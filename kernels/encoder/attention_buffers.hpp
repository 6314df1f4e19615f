// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What attention carves out of its scratch memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/base/carver.hpp"
#include "kernels/encoder/rows.hpp"

namespace medsam::kernels {

template <class T>
struct AttentionBuffers {
  T *keys, *values;      // packed as right operands
  float* blocks;         // (key_stride / 32, 32, 32): scores
  T* weights;            // (32, key_stride)
  std::int64_t* chunks;  // (key_stride / 32)
};

template <class T>
AttentionBuffers<T> take_attention_buffers(std::int64_t key_stride, Carver& carver) noexcept {
  const auto keys = static_cast<std::size_t>(key_stride), block = static_cast<std::size_t>(kBlock);
  AttentionBuffers<T> buffers{};
  buffers.keys = carver.take<T>(keys * block);
  buffers.values = carver.take<T>(keys * block);
  buffers.blocks = carver.take<float>(keys * block);
  buffers.weights = carver.take<T>(keys * block);
  buffers.chunks = carver.take<std::int64_t>(keys / block);
  return buffers;
}

}  // namespace medsam::kernels
