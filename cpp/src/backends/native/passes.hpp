// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The passes of a TinyViT over its features, and what they share. Each pass splits the image into pieces whose working
// set stays in a core's own cache; `*_scratch` says what a thread needs for it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backends/native/tiny_vit.hpp"
#include "kernels/base/carver.hpp"

namespace medsam::backends::native {

using kernels::Carver;
using kernels::kBlock;

inline std::size_t size(std::int64_t n) { return static_cast<std::size_t>(n); }
inline std::int64_t rounded_up(std::int64_t n, std::int64_t step) { return (n + step - 1) / step * step; }

/// Rows of channels as operands of `operand`; the other pointer is null.
struct OperandRows {
  Bf16* rounded;
  float* exact;
  std::int64_t channels;

  /// From row `first` on.
  [[nodiscard]] OperandRows from(std::int64_t first) const {
    return {rounded == nullptr ? nullptr : rounded + first * channels,
            exact == nullptr ? nullptr : exact + first * channels, channels};
  }
};

inline OperandRows take_rows(Operand operand, std::int64_t rows, std::int64_t channels, Carver& carver) {
  const std::size_t count = size(rounded_up(rows, kBlock) * channels);
  return operand == Operand::bf16 ? OperandRows{carver.take<Bf16>(count), nullptr, channels}
                                  : OperandRows{nullptr, carver.take<float>(count), channels};
}

/// Memory for the left operand of a layer.
inline OperandRows take_rows_for(const Linear& layer, std::int64_t rows, Carver& carver) {
  return take_rows(layer.matrix.operand, rows, layer.in, carver);
}

/// The product of the first `rows` rows of `a` with a layer's matrix, plus its bias; where it goes is left to the
/// caller.
inline kernels::ProductParams product_of(const Linear& linear, const OperandRows& a, std::int64_t rows) {
  kernels::ProductParams params{};
  params.a = a.rounded;
  params.a_exact = a.exact;
  params.a_stride = linear.in;
  params.rows = rows;
  params.b = &linear.matrix;
  params.bias = linear.bias.empty() ? nullptr : linear.bias.data();
  return params;
}

/// `params`, a kernel's, writes its result to `to`.
template <class Params>
void write_to(const OperandRows& to, Params& params) {
  params.rounded = to.rounded;
  params.out = to.exact;
  params.out_stride = params.rounded_stride = to.channels;
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
    Carver carver(workspace.scratch(slot));
    body(static_cast<std::int64_t>(piece), carver);
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

}  // namespace medsam::backends::native
