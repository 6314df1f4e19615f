// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What the decoder reads: the embedding as rows of image tokens, and mask inputs.
#include <algorithm>
#include <cmath>

#include "backends/native/decoder/decoding.hpp"

namespace medsam::backends::native {

namespace {

float gelu(float x) { return 0.5F * x * std::erfc(-x * 0.70710678F); }

/// SAM's LayerNorm2d of one pixel's few channels, then GELU; in place.
void normalize_pixel(const Norm& norm, float* values, std::int64_t channels) {
  float mean = 0, variance = 0;
  for (std::int64_t c = 0; c < channels; ++c) mean += values[c];
  mean /= static_cast<float>(channels);
  for (std::int64_t c = 0; c < channels; ++c) variance += (values[c] - mean) * (values[c] - mean);
  const float scale = 1 / std::sqrt(variance / static_cast<float>(channels) + norm.epsilon);
  for (std::int64_t c = 0; c < channels; ++c) {
    values[c] = gelu((values[c] - mean) * scale * norm.weight[size(c)] + norm.bias[size(c)]);
  }
}

/// A convolution of the 2x2 pixels, each of `in` channels, that `pixel(y, x)` gives.
template <class PixelOf>
void convolve_2x2(const Table& weight, const Table& bias, std::int64_t in, const PixelOf& pixel, float* out) {
  const auto channels = static_cast<std::int64_t>(bias.size());
  std::copy(bias.begin(), bias.end(), out);
  for (std::int64_t tap = 0; tap < 4; ++tap) {
    const float* from = pixel(tap / 2, tap % 2);
    for (std::int64_t i = 0; i < in; ++i) {
      const float* row = weight.data() + (tap * in + i) * channels;
      for (std::int64_t c = 0; c < channels; ++c) out[c] += from[i] * row[c];
    }
  }
}

/// The 4x4 pixels of a mask input that belong to one image token, as the last convolution's operand.
void embed_patch(const MaskLayers& layers, const float* pixels, std::int64_t stride, float* out) {
  float first[4][kBlock];
  const std::int64_t few = layers.channels / 4;
  for (std::int64_t child = 0; child < 4; ++child) {
    const float* corner = pixels + child / 2 * 2 * stride + child % 2 * 2;
    convolve_2x2(
        layers.first, layers.first_bias, 1, [&](std::int64_t y, std::int64_t x) { return corner + y * stride + x; },
        first[child]);
    normalize_pixel(layers.first_norm, first[child], few);
  }
  convolve_2x2(
      layers.second, layers.second_bias, few, [&](std::int64_t y, std::int64_t x) { return first[2 * y + x]; }, out);
  normalize_pixel(layers.second_norm, out, layers.channels);
}

}  // namespace

namespace {

/// Keys, values and queries of a row of image tokens.
void project_row(const Decoding& run, std::int64_t first, Carver& carver) {
  const SamDecoder& decoder = run.decoder;
  const ImageProjections& layers = decoder.projections;
  const ConstRows image = ConstRows(run.workspace.image).from(first);
  const Rows keys = take_rows(decoder.format, decoder.grid, decoder.dim, carver);
  run.kernels().image_operands({image, decoder.position_rows(first), decoder.grid, keys, nullptr});
  multiply(run.kernels(), layers.keys, keys, decoder.grid, run.workspace.keys.from(first));
  multiply(run.kernels(), layers.queries, keys, decoder.grid, run.workspace.queries.from(first));
  const Rows values = run.workspace.values.from(first);
  if (decoder.format == Format::f32) return multiply(run.kernels(), layers.values, image, decoder.grid, values);
  const Rows rounded(keys.at<Bf16>(0), layers.values.out);  // the keys are not needed any more
  multiply(run.kernels(), layers.values, image, decoder.grid, rounded);
  run.kernels().pair_rows(rounded.at<Bf16>(0), decoder.grid, layers.values.out, values.at<Bf16>(0));
}

}  // namespace

void prepare_image(const Decoding& run) {
  const SamDecoder& decoder = run.decoder;
  const std::int64_t dim = decoder.dim, count = decoder.image_tokens();
  // Blocks of 16 channels: a line of the cache is written whole.
  constexpr std::int64_t kChannels = 16;
  run.for_each(decoder.grid, [&](std::int64_t y, Carver& carver) {
    const std::int64_t first = y * decoder.grid;
    auto* rows = carver.take<float>(size(decoder.grid * dim));
    for (std::int64_t block = 0; block < dim; block += kChannels) {
      for (std::int64_t x = 0; x < decoder.grid; ++x) {
        for (std::int64_t c = block; c < block + kChannels; ++c) {
          // With a mask input, its own code takes the place of that for none.
          const float none = run.shared() ? decoder.prompt.no_mask[size(c)] : 0.F;
          rows[x * dim + c] = run.input.embedding[c * count + first + x] + none;
        }
      }
    }
    const Rows image = run.workspace.image.from(first);
    if (decoder.format == Format::bf16) {
      run.kernels().round(rows, image.at<Bf16>(0), decoder.grid * dim);
    } else {
      std::copy_n(rows, decoder.grid * dim, image.at<float>(0));
    }
    if (run.shared()) project_row(run, first, carver);
  });
}

void add_masks(const Decoding& run) {
  const SamDecoder& decoder = run.decoder;
  const MaskLayers& layers = decoder.prompt.mask;
  const std::int64_t side = decoder.side();
  run.for_each(run.prompts * decoder.grid, [&](std::int64_t i, Carver& carver) {
    const std::int64_t prompt = i / decoder.grid, y = i % decoder.grid, first = y * decoder.grid;
    const float* mask = run.input.mask_input + (run.first + prompt) * side * side + 4 * y * side;
    const std::int64_t rows = (decoder.grid + kBlock - 1) / kBlock * kBlock;
    auto* operand = carver.take<float>(size(rows * kBlock));
    std::fill_n(operand, decoder.grid * kBlock, 0.F);
    for (std::int64_t x = 0; x < decoder.grid; ++x) embed_patch(layers, mask + 4 * x, side, operand + x * kBlock);
    Epilogue then;
    then.residual = ConstRows(run.workspace.image).from(first);
    multiply(run.kernels(), layers.last, ConstRows(operand, kBlock), decoder.grid,
             run.workspace.prompts[size(prompt)].image.from(first), then);
  });
}

}  // namespace medsam::backends::native
