// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The passes of a TinyViT over its features, and what they share. Each pass splits the image into pieces whose working
// set stays in a core's own cache; `*_scratch` says what a thread needs for it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/scratch.hpp"
#include "tiny_vit.hpp"

namespace medsam::backends::fused {

using kernels::kBlock;
using kernels::Scratch;

inline std::size_t size(std::int64_t n) { return static_cast<std::size_t>(n); }
inline std::int64_t rounded_up(std::int64_t n, std::int64_t step) { return (n + step - 1) / step * step; }

/// The product of `rows` rows at `a` with a layer's matrix, plus its bias; where it goes is left to the caller.
inline kernels::ProductParams product_of(const Linear& linear, const Bf16* a, std::int64_t rows) {
  kernels::ProductParams params{};
  params.a = a;
  params.a_stride = linear.stride();
  params.rows = rows;
  params.b = &linear.matrix;
  params.bias = linear.bias.empty() ? nullptr : linear.bias.data();
  return params;
}

/// Where `params`, a kernel's, rounds its result to, as the left operand of `next`.
template <class Params>
void round_for(const Linear& next, Bf16* to, Params& params) {
  params.rounded = to;
  params.rounded_stride = next.stride();
  params.low_offset = next.low_offset;
}

/// A convolution of row `y` of (height, width, channels) features with zero rows around them.
inline kernels::DepthwiseParams depthwise_of(const Depthwise& layer, std::int64_t width) {
  kernels::DepthwiseParams params{};
  params.width = width;
  params.channels = static_cast<std::int64_t>(layer.bias.size());
  params.stride = 1;
  params.weight = layer.weight.data();
  params.bias = layer.bias.data();
  return params;
}

/// Calls body(piece, a thread's scratch memory) for every piece.
template <class Body>
void for_pieces(const Machine& machine, Workspace& workspace, std::int64_t pieces, const Body& body) {
  machine.threads->run(size(pieces), [&](std::size_t piece, std::size_t slot) {
    Scratch scratch(workspace.scratch(slot));
    body(static_cast<std::int64_t>(piece), scratch);
  });
}

/// From workspace.current, (width, width, in), to the other buffer, which becomes current.
void run_bottleneck(const Bottleneck& layer, const Machine& machine, std::int64_t width, Workspace& workspace);
std::size_t bottleneck_scratch(const Bottleneck& layer, std::int64_t width);

/// Adds the attention of the windows to workspace.current, (grid, grid, channels).
void run_attention(const Block& block, const Machine& machine, std::int64_t grid, Workspace& workspace);
std::size_t attention_pass_scratch(const Block& block);

/// Depthwise convolution, then the perceptron with its residual, into the other buffer, which becomes current.
void run_perceptron(const Block& block, const Machine& machine, std::int64_t grid, Workspace& workspace);
std::size_t perceptron_scratch(const Block& block, std::int64_t grid);

/// From workspace.current to the embedding; overwrites the other buffer, of which it needs neck_floats.
void run_neck(const TinyVitModel& model, const Machine& machine, Workspace& workspace, float* embedding);
std::size_t neck_scratch(const TinyVitModel& model);
std::int64_t neck_floats(const TinyVitModel& model);

}  // namespace medsam::backends::fused
