// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <string>

#include "backends/native/decoder/sam_decoder.hpp"
#include "backends/native/layer_reader.hpp"

namespace medsam::backends::native {

namespace {

// What SAM has, and what the kernels' sizes are (token_attention.hpp); the largest grid is that of 2048 pixels.
constexpr std::int64_t kDim = 256, kHidden = 2048, kInner = kernels::kHeadsWidth, kMasks = 4;
constexpr std::int64_t kLargestGrid = 128, kMaskChannels = 16;

std::string nth(const std::string& name, std::int64_t i) { return name + "." + std::to_string(i); }

class SamDecoderReader {
 public:
  SamDecoderReader(const Weights& weights, Format format) : weights_(weights), reader_(weights) {
    decoder_.format = format;
    decoder_.dim = kDim;
    decoder_.hidden = kHidden;
  }

  SamDecoder read() {
    decoder_.grid = number("grid", 2, kLargestGrid);
    // Kernels read image tokens in pairs, of which no row of the image may begin or end with half a one.
    if (decoder_.grid % 2 != 0) {
      weights_.refuse("\"grid\" of its header is " + std::to_string(decoder_.grid) + ", expected an even number");
    }
    if (number("heads", 1, 65536) != kernels::kHeads || number("masks", 1, 65536) != kMasks) {
      weights_.refuse("is a decoder of other heads or masks than SAM's 8 and 4");
    }
    epsilon_ = layer_norm_epsilon();
    read_prompt();
    decoder_.own_tokens = reader_.values("tokens", {1 + kMasks, kDim});
    for (std::int64_t i = 0; i < SamDecoder::kLayers; ++i) read_layer(nth("layers", i), decoder_.layers[size(i)]);
    read_projections();
    decoder_.last = to_image("final");
    decoder_.last_norm = norm("final.norm", kDim, epsilon_);
    decoder_.upscale = linear("upscale.0", kDim, kDim, decoder_.format);
    decoder_.upscale_norm = norm("upscale.0.norm", kDim / 4, kLayerNorm2dEpsilon);
    decoder_.upscale_more = linear("upscale.1", kDim / 4, kDim / 2, decoder_.format);
    for (std::int64_t i = 0; i < kMasks; ++i) decoder_.hyper.push_back(perceptron(nth("hyper", i), kDim / 8));
    decoder_.quality = perceptron("iou", kMasks);
    make_positions();
    return std::move(decoder_);
  }

 private:
  std::int64_t number(const std::string& name, std::int64_t least, std::int64_t most) const {
    const std::vector<std::int64_t> values = weights_.numbers(name);
    if (values.size() != 1 || values[0] < least || values[0] > most) {
      weights_.refuse("\"" + name + "\" of its header is not one integer from " + std::to_string(least) + " to " +
                      std::to_string(most));
    }
    return values[0];
  }

  /// Of the transformer's norms: torch's own, unless the file says that the family has another one.
  [[nodiscard]] float layer_norm_epsilon() const {
    if (!weights_.states("layer_norm_epsilon")) return kLayerNormEpsilon;
    if (weights_.text("layer_norm_epsilon") != "1e-6") {
      weights_.refuse(R"("layer_norm_epsilon" of its header is not "1e-6")");
    }
    return kLayerNorm2dEpsilon;
  }

  Table table(const std::string& name, const std::vector<std::int64_t>& shape) const {
    return reader_.values(name, shape);
  }
  [[nodiscard]] Norm norm(const std::string& name, std::int64_t channels, float epsilon) const {
    return reader_.norm(name, channels, epsilon);
  }

  /// Of any number of columns: what lies past them is zero.
  [[nodiscard]] Linear linear(const std::string& name, std::int64_t in, std::int64_t out, Format format) const {
    Linear linear;
    linear.in = in;
    linear.matrix = kernels::pack_matrix(weights_.tensor(name + ".weight", {in, out}), in, out, format);
    linear.out = linear.matrix.out;
    linear.bias = table(name + ".bias", {out});
    linear.bias.resize(size(linear.out));
    return linear;
  }

  /// Columns in slices, each as a layer.
  [[nodiscard]] std::array<Linear, SlicedPerceptron::kSlices> slices(const std::string& name, std::int64_t in,
                                                                     std::int64_t out) const {
    std::array<Linear, SlicedPerceptron::kSlices> layers;
    const std::int64_t width = out / SlicedPerceptron::kSlices;
    const float* weight = weights_.tensor(name + ".weight", {in, out});
    const Table bias = table(name + ".bias", {out});
    Table part(size(in * width));
    for (std::int64_t i = 0; i < SlicedPerceptron::kSlices; ++i) {
      for (std::int64_t row = 0; row < in; ++row) {
        std::copy_n(weight + row * out + i * width, width, part.data() + row * width);
      }
      Linear& layer = layers[size(i)];
      layer.in = in;
      layer.out = width;
      layer.matrix = kernels::pack_matrix(part.data(), in, width, decoder_.format);
      layer.bias.assign(bias.data() + i * width, bias.data() + (i + 1) * width);
    }
    return layers;
  }

  // Its layers compute in f32: they are few, and nothing behind them evens out what they round.
  [[nodiscard]] Perceptron3 perceptron(const std::string& name, std::int64_t out) const {
    return {linear(nth(name, 0), kDim, kDim, Format::f32), linear(nth(name, 1), kDim, kDim, Format::f32),
            linear(nth(name, 2), kDim, out, Format::f32)};
  }

  [[nodiscard]] ToImage to_image(const std::string& name) const {
    ToImage layers;
    layers.query = linear(name + ".query", kDim, kInner, decoder_.format);
    layers.key = table(name + ".key.weight", {kInner, kDim});
    layers.value = table(name + ".value.weight", {kDim, kInner});
    layers.value_bias = table(name + ".value.bias", {kInner});
    layers.out = linear(name + ".out", kInner, kDim, decoder_.format);
    return layers;
  }

  [[nodiscard]] ToTokens to_tokens(const std::string& name) const {
    ToTokens layers;
    layers.query = table(name + ".query.weight", {kInner, kDim});
    layers.query_bias = table(name + ".query.bias", {kInner});
    layers.key = linear(name + ".key", kDim, kInner, decoder_.format);
    layers.value = linear(name + ".value", kDim, kInner, decoder_.format);
    layers.out = table(name + ".out.weight", {kInner, kDim});
    // The weights of each of the heads sum to 1, so an equal part of the bias in every value gives the whole of it.
    layers.out_bias = table(name + ".out.bias", {kDim});
    for (float& value : layers.out_bias) value /= static_cast<float>(kernels::kHeads);
    return layers;
  }

  void read_layer(const std::string& name, TwoWayLayer& layer) const {
    const auto square = [&](const char* part) { return linear(name + ".self." + part, kDim, kDim, decoder_.format); };
    layer.self = {square("query"), square("key"), square("value"), square("out")};
    layer.to_image = to_image(name + ".to_image");
    layer.perceptron.fc1 = slices(name + ".mlp.fc1", kDim, kHidden);
    layer.perceptron.fc2 = slices(name + ".mlp.fc2", kHidden, kDim);
    layer.to_tokens = to_tokens(name + ".to_tokens");
    for (std::int64_t i = 0; i < 4; ++i) {
      layer.norms[size(i)] = norm(name + ".norm" + std::to_string(i + 1), kDim, epsilon_);
    }
  }

  /// (inner, dim), torch's own layout, to (dim, inner) with the channels in the order of kernels::head_step.
  [[nodiscard]] Linear projection_by_steps(const Table& matrix) const {
    Table columns(matrix.size());
    for (std::int64_t h = 0; h < kernels::kHeads; ++h) {
      for (std::int64_t i = 0; i < kernels::kHeadChannels; ++i) {
        const std::int64_t to = kernels::head_step(decoder_.format, kernels::kHeads, h, i);
        const float* from = matrix.data() + (h * kernels::kHeadChannels + i) * kDim;
        for (std::int64_t c = 0; c < kDim; ++c) columns[size(c * kInner + to)] = from[c];
      }
    }
    Linear linear;
    linear.in = kDim;
    linear.out = kInner;
    linear.matrix = kernels::pack_matrix(columns.data(), kDim, kInner, decoder_.format);
    return linear;
  }

  void read_projections() {
    const TwoWayLayer& first = decoder_.layers[0];
    decoder_.projections.keys = projection_by_steps(first.to_image.key);
    // The bias of the values is added behind, to the tokens.
    decoder_.projections.values.in = kDim;
    decoder_.projections.values.out = kInner;
    decoder_.projections.values.matrix =
        kernels::pack_matrix(first.to_image.value.data(), kDim, kInner, decoder_.format);
    decoder_.projections.queries = projection_by_steps(first.to_tokens.query);
    Table& bias = decoder_.projections.queries.bias;
    bias.resize(size(kInner));
    for (std::int64_t h = 0; h < kernels::kHeads; ++h) {
      for (std::int64_t i = 0; i < kernels::kHeadChannels; ++i) {
        bias[size(kernels::head_step(decoder_.format, kernels::kHeads, h, i))] =
            first.to_tokens.query_bias[size(h * kernels::kHeadChannels + i)];
      }
    }
  }

  void read_prompt() {
    PromptLayers& prompt = decoder_.prompt;
    prompt.frame = number("frame", 1, 65536);
    const std::string shift = weights_.text("point_shift");
    if (shift != "0" && shift != "0.5") weights_.refuse(R"("point_shift" of its header is neither "0" nor "0.5")");
    prompt.shift = shift == "0" ? 0.F : 0.5F;
    prompt.gaussian = table("prompt.gaussian", {2, kDim / 2});
    prompt.points = table("prompt.points", {5, kDim});
    prompt.no_mask = table("prompt.no_mask", {kDim});
    if (!weights_.numbers("mask_channels").empty()) read_mask(prompt.mask);
  }

  void read_mask(MaskLayers& mask) const {
    constexpr std::int64_t kFirst = kMaskChannels / 4;
    mask.channels = number("mask_channels", kMaskChannels, kMaskChannels);
    mask.first = table("mask.0.weight", {4, kFirst});
    mask.first_bias = table("mask.0.bias", {kFirst});
    mask.first_norm = norm("mask.0.norm", kFirst, kLayerNorm2dEpsilon);
    mask.second = table("mask.1.weight", {4 * kFirst, kMaskChannels});
    mask.second_bias = table("mask.1.bias", {kMaskChannels});
    mask.second_norm = norm("mask.1.norm", kMaskChannels, kLayerNorm2dEpsilon);
    Table last = table("mask.2.weight", {kMaskChannels, kDim});
    last.resize(size(kBlock * kDim));
    mask.last.in = kBlock;
    mask.last.out = kDim;
    mask.last.matrix = kernels::pack_matrix(last.data(), kBlock, kDim, Format::f32);
    mask.last.bias = table("mask.2.bias", {kDim});
  }

  /// Those of the centers of the grid's cells.
  void make_positions() {
    const std::int64_t grid = decoder_.grid, half = kDim / 2;
    // sin(a + b) and cos(a + b) of what x and y contribute: 2 grid sines per channel in place of grid^2.
    std::vector<double> sines(size(2 * grid * half)), cosines(sines.size());
    for (std::int64_t axis = 0; axis < 2; ++axis) {
      for (std::int64_t i = 0; i < grid; ++i) {
        const double center = 2 * ((static_cast<double>(i) + 0.5) / static_cast<double>(grid)) - 1;
        for (std::int64_t c = 0; c < half; ++c) {
          const double phase = 2 * std::numbers::pi * center * decoder_.prompt.gaussian[size(axis * half + c)];
          sines[size((axis * grid + i) * half + c)] = std::sin(phase);
          cosines[size((axis * grid + i) * half + c)] = std::cos(phase);
        }
      }
    }
    const std::size_t width = decoder_.format == Format::bf16 ? sizeof(Bf16) : sizeof(float);
    decoder_.positions.resize(size(grid * grid * kDim) * width);
    Table row(size(kDim));
    for (std::int64_t y = 0; y < grid; ++y) {
      for (std::int64_t x = 0; x < grid; ++x) {
        const double *sin_x = &sines[size(x * half)], *cos_x = &cosines[size(x * half)];
        const double *sin_y = &sines[size((grid + y) * half)], *cos_y = &cosines[size((grid + y) * half)];
        for (std::int64_t c = 0; c < half; ++c) {
          row[size(c)] = static_cast<float>(sin_x[c] * cos_y[c] + cos_x[c] * sin_y[c]);
          row[size(half + c)] = static_cast<float>(cos_x[c] * cos_y[c] - sin_x[c] * sin_y[c]);
        }
        std::byte* to = decoder_.positions.data() + size((y * grid + x) * kDim) * width;
        if (decoder_.format == Format::bf16) {
          kernels::available_encoder_targets().front()->round(row.data(), reinterpret_cast<Bf16*>(to), kDim);
        } else {
          std::memcpy(to, row.data(), row.size() * sizeof(float));
        }
      }
    }
  }

  const Weights& weights_;
  LayerReader reader_;
  float epsilon_ = kLayerNormEpsilon;
  SamDecoder decoder_;
};

}  // namespace

ConstRows SamDecoder::position_rows(std::int64_t first) const {
  if (format == Format::bf16) return ConstRows(reinterpret_cast<const Bf16*>(positions.data()), dim).from(first);
  return ConstRows(reinterpret_cast<const float*>(positions.data()), dim).from(first);
}

SamDecoder load_sam_decoder(const Weights& weights, Format format) { return SamDecoderReader(weights, format).read(); }

void encode_position(const Table& gaussian, float x, float y, float* out) {
  const std::size_t half = gaussian.size() / 2;
  for (std::size_t c = 0; c < half; ++c) {
    const float phase = 2 * std::numbers::pi_v<float> * ((2 * x - 1) * gaussian[c] + (2 * y - 1) * gaussian[half + c]);
    out[c] = std::sin(phase);
    out[half + c] = std::cos(phase);
  }
}

}  // namespace medsam::backends::native
