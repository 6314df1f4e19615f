// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// SAM's prompt encoder and mask decoder (Kirillov et al., arXiv 2304.02643;
// segment_anything/modeling/prompt_encoder.py, mask_decoder.py and transformer.py) as layers. README.md says what
// the passes of decoding.hpp do with them.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "backends/native/layers.hpp"
#include "backends/native/weights.hpp"

namespace medsam::backends::native {

/// A vector of floats per row, dense.
using Table = std::vector<float>;

/// What a mask input becomes: convolutions of 2x2 pixels with stride 2, so that each image token has its own 4x4
/// pixels.
struct MaskLayers {
  std::int64_t channels = 0;  // of the second convolution, 16; 0: masks are not taken
  Table first, first_bias;    // (2, 2, channels / 4)
  Norm first_norm;
  Table second, second_bias;  // (2, 2, channels / 4, channels)
  Norm second_norm;
  Linear last;  // (kBlock, dim): rows past `channels` are zeros
};

struct PromptLayers {
  std::int64_t frame = 0;  // side of the square of coordinates
  float shift = 0;         // what is added to them
  Table gaussian;          // (2, dim / 2)
  Table points;            // (5, dim): not a point, labels 0 to 3
  Table no_mask;           // (dim)
  MaskLayers mask;
};

/// Attention of the tokens to each other; queries are scaled.
struct SelfAttention {
  Linear query, key, value, out;
};

/// Projections of an image that all prompts share, computed once: 16 times fewer products per prompt in the first layer
/// than where the projections act on the tokens. `keys` and `queries` have the channels in the order of
/// kernels::head_step.
struct ImageProjections {
  Linear keys, values;  // of the first attention of the tokens to the image
  Linear queries;       // of the first attention of the image to the tokens
};

/// The tokens ask the image. Keys and values of the image are not computed: their projections act on the tokens.
struct ToImage {
  Linear query;             // scaled
  Table key;                // (inner, dim)
  Table value, value_bias;  // (dim, inner)
  Linear out;
};

/// The image asks the tokens; the same way.
struct ToTokens {
  Table query, query_bias;  // (inner, dim), (inner)
  Linear key, value;        // key scaled
  Table out, out_bias;      // (inner, dim), (dim) / heads
};

/// The tokens' perceptron, in slices of columns: its weights, half of the decoder's, are read by all threads together.
struct SlicedPerceptron {
  static constexpr std::int64_t kSlices = 8;
  std::array<Linear, kSlices> fc1, fc2;  // (dim, hidden / kSlices), (hidden, dim / kSlices)
};

struct TwoWayLayer {
  SelfAttention self;
  ToImage to_image;
  SlicedPerceptron perceptron;
  ToTokens to_tokens;
  std::array<Norm, 4> norms;
};

/// Three linear layers with ReLU between them.
using Perceptron3 = std::array<Linear, 3>;

struct SamDecoder {
  static constexpr std::int64_t kLayers = 2;

  Format format = Format::f32;  // of image tokens and of what they are multiplied with
  std::int64_t grid = 0, dim = 0, hidden = 0;
  PromptLayers prompt;
  std::vector<std::byte> positions;  // (grid^2, dim) of `format`
  Table own_tokens;                  // (1 + masks, dim): the token of the predicted quality, then one per mask
  ImageProjections projections;
  std::array<TwoWayLayer, kLayers> layers;
  ToImage last;
  Norm last_norm;
  Linear upscale, upscale_more;  // (dim, 4 dim / 4), (dim / 4, 4 dim / 8)
  Norm upscale_norm;
  std::vector<Perceptron3> hyper;  // per mask
  Perceptron3 quality;

  [[nodiscard]] std::int64_t image_tokens() const { return grid * grid; }
  [[nodiscard]] std::int64_t masks() const { return static_cast<std::int64_t>(hyper.size()); }
  [[nodiscard]] std::int64_t side() const { return 4 * grid; }
  [[nodiscard]] ConstRows position_rows(std::int64_t first) const;
};

/// Reads the layers of a file of the architecture "sam_decoder"; ModelError for one that is none.
SamDecoder load_sam_decoder(const Weights& weights, Format format);

/// The positional code of (x, y), each in [0, 1]: sin and cos of 2 pi times (2 x - 1, 2 y - 1) times the matrix
/// (PositionEmbeddingRandom). `out`: (dim).
void encode_position(const Table& gaussian, float x, float y, float* out);

}  // namespace medsam::backends::native
