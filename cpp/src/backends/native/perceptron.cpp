// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Depthwise convolution, norm and perceptron of some rows in one piece of work: the wide hidden layer never leaves
// cache.
#include <algorithm>

#include "backends/native/passes.hpp"

namespace medsam::backends::native {

namespace {

constexpr float kEpsilon = 1e-5F;  // torch's LayerNorm
constexpr std::int64_t kPerceptronTokens = 128;

struct PerceptronBuffers {
  float* tokens;
  OperandRows normalised, hidden;
};

PerceptronBuffers take(const Block& block, std::int64_t tokens, Carver& carver) {
  PerceptronBuffers buffers{};
  buffers.tokens = carver.take<float>(size(tokens * block.fc1.in));
  buffers.normalised = take_rows_for(block.fc1, tokens, carver);
  buffers.hidden = take_rows_for(block.fc2, tokens, carver);
  return buffers;
}

std::int64_t perceptron_rows(std::int64_t grid) { return std::max<std::int64_t>(1, kPerceptronTokens / grid); }

}  // namespace

void run_perceptron(const Block& block, const Machine& machine, std::int64_t grid, Workspace& workspace) {
  const std::int64_t channels = block.fc1.in, rows = perceptron_rows(grid);
  for_pieces(machine, workspace, (grid + rows - 1) / rows, [&](std::int64_t piece, Carver& carver) {
    const std::int64_t first = piece * rows, last = std::min(grid, first + rows), tokens = (last - first) * grid;
    const PerceptronBuffers buffers = take(block, rows * grid, carver);
    for (std::int64_t y = first; y < last; ++y) {
      auto depthwise = depthwise_of(block.depthwise, grid);
      for (std::int64_t r = 0; r < 3; ++r) {
        const std::int64_t row = y - 1 + r;
        depthwise.rows[r] = row < 0 || row >= grid ? nullptr : workspace.current + row * grid * channels;
      }
      depthwise.out = buffers.tokens + (y - first) * grid * channels;
      depthwise.out_stride = channels;
      machine.kernels->depthwise(depthwise);
    }
    kernels::NormalizeRowsParams norm{};
    norm.in = buffers.tokens;
    norm.rows = tokens;
    norm.channels = channels;
    norm.eps = kEpsilon;
    write_to(buffers.normalised, norm);
    machine.kernels->normalize_rows(norm);
    auto expand = product_of(block.fc1, buffers.normalised, tokens);
    expand.gelu = true;
    write_to(buffers.hidden, expand);
    machine.kernels->product(expand, *machine.product);
    auto project = product_of(block.fc2, buffers.hidden, tokens);
    project.residual = buffers.tokens;
    project.residual_stride = channels;
    project.out = workspace.next + first * grid * channels;
    project.out_stride = channels;
    machine.kernels->product(project, *machine.product);
  });
  std::swap(workspace.current, workspace.next);
}

std::size_t perceptron_scratch(const Block& block, std::int64_t grid) {
  Carver carver(nullptr);
  take(block, perceptron_rows(grid) * grid, carver);
  return carver.used();
}

}  // namespace medsam::backends::native
