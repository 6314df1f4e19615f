// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// 1x1 and 3x3 convolution, each with a layer norm behind it.
#include <algorithm>

#include "passes.hpp"

namespace medsam::backends::fused {

namespace {

constexpr float kNeckEpsilon = 1e-6F;  // LayerNorm2d

/// The features after the first layer, as a left operand with a border of zeros.
std::int64_t padded_elements(const TinyVitModel& model) {
  const std::int64_t side = model.grid + 2;
  return (side * side + kBlock) * model.neck.smooth.stride();
}

}  // namespace

void run_neck(const TinyVitModel& model, const Machine& machine, Workspace& workspace, float* embedding) {
  const Neck& neck = model.neck;
  const std::int64_t grid = model.grid, side = grid + 2, stride = neck.smooth.stride();
  auto* padded = reinterpret_cast<Bf16*>(workspace.next);
  std::fill(padded, padded + padded_elements(model), Bf16{0});
  const auto norm_of = [&](int i, const float* in, std::int64_t channels) {
    kernels::NormalizeRowsParams norm{};
    norm.in = in;
    norm.rows = grid;
    norm.channels = channels;
    norm.eps = kNeckEpsilon;
    norm.weight = neck.weight[i].data();
    norm.bias = neck.bias[i].data();
    return norm;
  };
  for_pieces(machine, workspace, grid, [&](std::int64_t y, Scratch& scratch) {
    const std::int64_t rows = rounded_up(grid, kBlock);
    Bf16* in = scratch.take<Bf16>(size(rows * neck.reduce.stride()));
    float* row = scratch.take<float>(size(rows * neck.reduce.out));
    for (std::int64_t x = 0; x < grid; ++x) {
      machine.kernels->round(workspace.current + (y * grid + x) * neck.reduce.in, in + x * neck.reduce.stride(),
                             neck.reduce.low_offset, neck.reduce.in);
    }
    auto params = product_of(neck.reduce, in, grid);
    params.out = row;
    params.out_stride = neck.reduce.out;
    machine.kernels->product(params, *machine.product);
    auto norm = norm_of(0, row, neck.reduce.out);
    round_for(neck.smooth, padded + ((y + 1) * side + 1) * stride, norm);
    machine.kernels->normalize_rows(norm);
  });
  for_pieces(machine, workspace, grid, [&](std::int64_t y, Scratch& scratch) {
    const std::int64_t rows = rounded_up(grid, kBlock), channels = neck.smooth.out;
    float* row = scratch.take<float>(size(rows * channels));
    auto params = product_of(neck.smooth, padded + y * side * stride, grid);
    params.out = row;
    params.out_stride = channels;
    machine.kernels->product(params, *machine.product);
    auto norm = norm_of(1, row, channels);
    norm.out = row;
    machine.kernels->normalize_rows(norm);
    for (std::int64_t c = 0; c < channels; ++c) {
      for (std::int64_t x = 0; x < grid; ++x) embedding[(c * grid + y) * grid + x] = row[x * channels + c];
    }
  });
}

std::size_t neck_scratch(const TinyVitModel& model) {
  const Neck& neck = model.neck;
  Scratch scratch(nullptr);
  const std::int64_t rows = rounded_up(model.grid, kBlock);
  scratch.take<Bf16>(size(rows * neck.reduce.stride()));
  scratch.take<float>(size(rows * std::max(neck.reduce.out, neck.smooth.out)));
  return scratch.used();
}

std::int64_t neck_floats(const TinyVitModel& model) { return padded_elements(model) / 2 + 1; }

}  // namespace medsam::backends::fused
