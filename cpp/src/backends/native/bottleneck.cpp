// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// 1x1, depthwise 3x3 and 1x1 convolution in one pass over bands of rows: of the wide rows between them a thread holds
// three.
#include <algorithm>

#include "backends/native/passes.hpp"

namespace medsam::backends::native {

namespace {

struct BottleneckBuffers {
  OperandRows in, out;  // a row as left operand of expand, of project
  float* hidden[3];     // the last three rows after expand
};

BottleneckBuffers take(const Bottleneck& layer, std::int64_t width, Carver& carver) {
  BottleneckBuffers buffers{};
  buffers.in = take_rows_for(layer.expand, width, carver);
  buffers.out = take_rows_for(layer.project, width, carver);
  for (float*& row : buffers.hidden) row = carver.take<float>(size(width * layer.expand.out));
  return buffers;
}

std::int64_t band_rows(std::int64_t rows, std::size_t threads) {
  // Two rows are expanded twice where bands meet, so few; but enough that no thread waits long for the last.
  const std::int64_t bands = threads == 1 ? 1 : static_cast<std::int64_t>(threads) * 4;
  return std::max<std::int64_t>(4, (rows + bands - 1) / bands);
}

}  // namespace

void run_bottleneck(const Bottleneck& layer, const Machine& machine, std::int64_t width, Workspace& workspace) {
  const std::int64_t in = layer.expand.in, hidden = layer.expand.out, out = layer.project.out;
  const std::int64_t out_width = width / layer.stride;
  const std::int64_t rows = band_rows(out_width, machine.threads->size());
  for_pieces(machine, workspace, (out_width + rows - 1) / rows, [&](std::int64_t band, Carver& carver) {
    const BottleneckBuffers buffers = take(layer, width, carver);
    std::int64_t expanded = std::max<std::int64_t>(0, band * rows * layer.stride - 1);
    for (std::int64_t y = band * rows; y < std::min(out_width, (band + 1) * rows); ++y) {
      const std::int64_t last = std::min(width - 1, y * layer.stride + 1);
      for (; expanded <= last; ++expanded) {
        float* row = workspace.current + expanded * width * in;
        const bool rounds = buffers.in.rounded != nullptr;
        if (rounds) machine.kernels->round(row, buffers.in.rounded, width * in);
        auto params = product_of(layer.expand, rounds ? buffers.in : OperandRows{nullptr, row, in}, width);
        params.gelu = true;
        params.out = buffers.hidden[expanded % 3];
        params.out_stride = hidden;
        machine.kernels->product(params, *machine.product);
      }
      auto depthwise = depthwise_of(layer.depthwise, width);
      for (std::int64_t r = 0; r < 3; ++r) {
        const std::int64_t row = y * layer.stride - 1 + r;
        depthwise.rows[r] = row < 0 || row >= width ? nullptr : buffers.hidden[row % 3];
      }
      depthwise.stride = layer.stride;
      depthwise.gelu = true;
      write_to(buffers.out, depthwise);
      machine.kernels->depthwise(depthwise);
      auto params = product_of(layer.project, buffers.out, out_width);
      if (layer.residual) {
        params.residual = workspace.current + y * width * in;
        params.residual_stride = in;
        params.gelu_after = true;
      }
      params.out = workspace.next + y * out_width * out;
      params.out_stride = out;
      machine.kernels->product(params, *machine.product);
    }
  });
  std::swap(workspace.current, workspace.next);
}

std::size_t bottleneck_scratch(const Bottleneck& layer, std::int64_t width) {
  Carver carver(nullptr);
  take(layer, width, carver);
  return carver.used();
}

}  // namespace medsam::backends::native
