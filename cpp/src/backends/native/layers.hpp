// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Layers, which passes are made of, and how they are computed: a line each, so that a pass reads like its formula.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "backends/native/pass.hpp"

namespace medsam::backends::native {

using kernels::Bf16;
using kernels::ConstRows;
using kernels::Epilogue;
using kernels::Format;
using kernels::kBlock;
using kernels::Rows;

inline std::size_t size(std::int64_t n) { return static_cast<std::size_t>(n); }
inline std::size_t bytes(const std::vector<float>& values) { return values.capacity() * sizeof(float); }

/// Matrix and bias.
struct Linear {
  kernels::PackedMatrix matrix;
  std::vector<float> bias;  // (out), or empty
  std::int64_t in = 0, out = 0;
  [[nodiscard]] std::size_t bytes() const { return matrix.bytes() + native::bytes(bias); }
};

/// A convolution of each channel on its own.
struct Depthwise {
  std::vector<float> weight, bias;  // (size * size, channels); (channels), or empty
  std::int64_t size = 3;            // 3 or 5
  [[nodiscard]] std::size_t bytes() const { return native::bytes(weight) + native::bytes(bias); }
};

/// Layer norm.
struct Norm {
  float epsilon;
  std::vector<float> weight, bias;  // (channels), or empty: none, or folded into the layer behind it
  [[nodiscard]] std::size_t bytes() const { return native::bytes(weight) + native::bytes(bias); }
};

constexpr float kLayerNormEpsilon = 1e-5F;    // torch's LayerNorm
constexpr float kLayerNorm2dEpsilon = 1e-6F;  // SAM's LayerNorm2d

/// Memory for `rows` rows, and for those behind them that a product's last block reads.
inline Rows take_rows(Format format, std::int64_t rows, std::int64_t channels, Carver& carver) {
  const std::size_t count = size(kernels::whole_blocks(rows) * channels);
  return format == Format::bf16 ? Rows(carver.take<Bf16>(count), channels) : Rows(carver.take<float>(count), channels);
}

/// Memory for `rows` rows as the left operand of a layer.
inline Rows take_rows_for(const Linear& layer, std::int64_t rows, Carver& carver) {
  return take_rows(layer.matrix.format(), rows, layer.in, carver);
}

/// `rows` rows of features, dense, as the left operand of a layer: themselves, or rounded into `rounded`.
inline ConstRows operand_of(const Frame& frame, const Linear& layer, const float* features, std::int64_t rows,
                            const Rows& rounded) {
  if (layer.matrix.format() == Format::f32) return {features, layer.in};
  frame.kernels().round(features, rounded.at<Bf16>(0), rows * layer.in);
  return rounded;
}

/// out = then(the first `rows` rows of `a`, times the layer's matrix, plus its bias).
inline void multiply(const EncoderTarget& kernels, const Linear& layer, const ConstRows& a, std::int64_t rows,
                     const Rows& out, Epilogue then = {}) {
  then.bias = layer.bias.empty() ? nullptr : layer.bias.data();
  kernels.product({a, rows, &layer.matrix, then, out});
}
inline void multiply(const Frame& frame, const Linear& layer, const ConstRows& a, std::int64_t rows, const Rows& out,
                     const Epilogue& then = {}) {
  multiply(frame.kernels(), layer, a, rows, out, then);
}

enum class Gelu : std::uint8_t { no, yes, by_tanh };

/// What a kernel normalizes: `rows` rows of floats, dense.
inline kernels::NormalizeRowsParams normalization(const Norm& norm, const float* in, std::int64_t rows,
                                                  const Rows& out) {
  kernels::NormalizeRowsParams params;
  params.in = in;
  params.rows = rows;
  params.channels = out.channels();
  params.eps = norm.epsilon;
  params.weight = norm.weight.empty() ? nullptr : norm.weight.data();
  params.bias = norm.bias.empty() ? nullptr : norm.bias.data();
  params.out = out;
  return params;
}

/// Layer norm.
inline void normalize(const EncoderTarget& kernels, const Norm& norm, const float* in, std::int64_t rows,
                      const Rows& out, Gelu gelu = Gelu::no) {
  kernels::NormalizeRowsParams params = normalization(norm, in, rows, out);
  params.gelu = gelu == Gelu::yes;
  kernels.normalize_rows(params);
}
inline void normalize(const Frame& frame, const Norm& norm, const float* in, std::int64_t rows, const Rows& out) {
  normalize(frame.kernels(), norm, in, rows, out);
}

/// Row y of the convolution of a (height, width, channels) image with zeros around it, or some of its pixels, the first
/// of which is row 0 of `out`. row_of(y): a row of the image.
template <class RowOf>
void convolve(const Frame& frame, const Depthwise& layer, std::int64_t y, std::int64_t height, std::int64_t width,
              std::int64_t stride, Gelu gelu, const RowOf& row_of, const Rows& out,
              const Span& pixels = Region::whole().columns) {
  kernels::DepthwiseParams params;
  for (std::int64_t r = 0; r < layer.size; ++r) {
    const std::int64_t row = y * stride - layer.size / 2 + r;
    params.rows[r] = row < 0 || row >= height ? nullptr : row_of(row);
  }
  params.width = width;
  params.channels = out.channels();
  params.stride = stride;
  params.begin = pixels.begin;
  params.end = pixels.end;
  params.weight = layer.weight.data();
  params.bias = layer.bias.empty() ? nullptr : layer.bias.data();
  params.size = layer.size;
  params.tanh_gelu = gelu == Gelu::by_tanh;
  params.gelu = gelu == Gelu::yes;
  params.out = out;
  frame.kernels().depthwise(params);
}

}  // namespace medsam::backends::native
