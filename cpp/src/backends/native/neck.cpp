// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// 1x1 and 3x3 convolution, each with a layer norm behind it.
#include <algorithm>

#include "backends/native/passes.hpp"

namespace medsam::backends::native {

namespace {

constexpr float kNeckEpsilon = 1e-6F;  // LayerNorm2d

/// The features after the first layer, as a left operand with a border of zeros.
std::int64_t padded_elements(const TinyVitModel& model) {
  const std::int64_t side = model.grid + 2;
  return (side * side + kBlock) * model.neck.smooth.in;
}

}  // namespace

void run_neck(const TinyVitModel& model, const Machine& machine, Workspace& workspace, float* embedding) {
  const Neck& neck = model.neck;
  const std::int64_t grid = model.grid, side = grid + 2;
  std::fill(workspace.next, workspace.next + padded_elements(model), 0.F);
  const bool rounds = neck.smooth.matrix.operand == Operand::bf16;
  const OperandRows padded = {rounds ? reinterpret_cast<Bf16*>(workspace.next) : nullptr,
                              rounds ? nullptr : workspace.next, neck.smooth.in};
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
  for_pieces(machine, workspace, grid, [&](std::int64_t y, Carver& carver) {
    OperandRows in = take_rows_for(neck.reduce, grid, carver);
    float* row = carver.take<float>(size(grid * neck.reduce.out));
    float* features = workspace.current + y * grid * neck.reduce.in;
    if (in.rounded != nullptr) {
      machine.kernels->round(features, in.rounded, grid * neck.reduce.in);
    } else {
      in.exact = features;
    }
    auto params = product_of(neck.reduce, in, grid);
    params.out = row;
    params.out_stride = neck.reduce.out;
    machine.kernels->product(params, *machine.product);
    auto norm = norm_of(0, row, neck.reduce.out);
    write_to(padded.from((y + 1) * side + 1), norm);
    machine.kernels->normalize_rows(norm);
  });
  for_pieces(machine, workspace, grid, [&](std::int64_t y, Carver& carver) {
    const std::int64_t channels = neck.smooth.out;
    float* row = carver.take<float>(size(grid * channels));
    auto params = product_of(neck.smooth, padded.from(y * side), grid);
    params.out = row;
    params.out_stride = channels;
    machine.kernels->product(params, *machine.product);
    auto norm = norm_of(1, row, channels);
    norm.out = row;
    norm.out_stride = channels;
    machine.kernels->normalize_rows(norm);
    for (std::int64_t c = 0; c < channels; ++c) {
      for (std::int64_t x = 0; x < grid; ++x) embedding[(c * grid + y) * grid + x] = row[x * channels + c];
    }
  });
}

std::size_t neck_scratch(const TinyVitModel& model) {
  const Neck& neck = model.neck;
  Carver carver(nullptr);
  take_rows_for(neck.reduce, model.grid, carver);
  carver.take<float>(size(model.grid * std::max(neck.reduce.out, neck.smooth.out)));
  return carver.used();
}

std::int64_t neck_floats(const TinyVitModel& model) { return padded_elements(model); }

}  // namespace medsam::backends::native
