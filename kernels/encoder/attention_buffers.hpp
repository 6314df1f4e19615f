// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What attention carves out of its scratch memory.
#pragma once

#include "kernels/encoder/encoder_kernels.hpp"
#include "kernels/scratch.hpp"

namespace medsam::kernels {

struct AttentionBuffers {
  Bf16 *keys, *values;   // packed as right operands
  float* blocks;         // (key_stride / 32, 32, 32): scores
  float* scores;         // (key_stride): a row of them
  Bf16* weights;         // (32, key_stride)
  std::int64_t* chunks;  // (key_stride / 32)
};

inline AttentionBuffers take_attention_buffers(std::int64_t key_stride, Scratch& scratch) noexcept {
  const auto keys = static_cast<std::size_t>(key_stride), block = static_cast<std::size_t>(kBlock);
  AttentionBuffers buffers{};
  buffers.keys = scratch.take<Bf16>(keys * block);
  buffers.values = scratch.take<Bf16>(keys * block);
  buffers.blocks = scratch.take<float>(keys * block);
  buffers.scores = scratch.take<float>(keys);
  buffers.weights = scratch.take<Bf16>(keys * block);
  buffers.chunks = scratch.take<std::int64_t>(keys / block);
  return buffers;
}

}  // namespace medsam::kernels
