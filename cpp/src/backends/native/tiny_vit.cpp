// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "backends/native/tiny_vit.hpp"

#include <algorithm>
#include <utility>

#include "backends/native/layer_reader.hpp"
#include "backends/native/passes.hpp"

namespace medsam::backends::native {

namespace {

// LiteMedSAM has an image side of 256 and windows of 14. A table of a window has as many elements as the window has
// pairs of tokens, side^4: of 32, 2^20 for each head and kind.
constexpr std::int64_t kLargestSide = 1024, kLargestWindow = 32;

/// The sizes in a file's header.
struct Sizes {
  std::int64_t input;
  std::vector<std::int64_t> strides, windows;  // strides: of the patch embedding's two layers, of each merge
};

Sizes read_sizes(const Weights& weights) {
  const std::vector<std::int64_t> input = weights.numbers("input_size");
  Sizes sizes{0, weights.numbers("strides"), weights.numbers("windows")};
  const auto above = [](const std::vector<std::int64_t>& values, std::int64_t most) {
    return std::any_of(values.begin(), values.end(), [most](std::int64_t v) { return v > most; });
  };
  const std::vector<std::int64_t>& strides = sizes.strides;
  if (input.size() != 1 || strides.size() < 2 || strides.size() != sizes.windows.size() + 2 || above(strides, 2) ||
      strides[0] != 1 || strides[1] != 1 || input[0] % 32 != 0 || above(input, kLargestSide) ||
      above(sizes.windows, kLargestWindow)) {
    weights.refuse("is a TinyViT of another shape than this version computes");
  }
  sizes.input = input[0];
  return sizes;
}

/// Reads the network's layers from the first to the last, each into the passes that compute it.
class TinyViT {
 public:
  TinyViT(const Weights& weights, const Precision& precision)
      : weights_(weights), reader_(weights), precision_(precision) {}

  Network read() {
    const Sizes sizes = read_sizes(weights_);
    grid_ = sizes.input;
    network_.input_shape = {1, 3, grid_, grid_};
    read_patch_embed();
    for (std::size_t i = 0; i <= sizes.windows.size(); ++i) {
      const std::string stage = "stages." + std::to_string(i);
      read_blocks(stage, i == 0 ? 0 : sizes.windows[i - 1]);
      if (i < sizes.windows.size()) read_merge(stage, sizes.strides[i + 2]);
    }
    read_neck();
    return std::move(network_);
  }

 private:
  void read_patch_embed() {
    PatchEmbedLayers layers;
    channels_ = reader_.columns("patch_embed.0", grid_);
    layers.planes_weight = reader_.values("patch_embed.0.weight", {3, channels_});
    layers.planes_bias = reader_.values("patch_embed.0.bias", {channels_});
    layers.linear = reader_.linear("patch_embed.1", channels_, grid_, precision_.patch_embed);
    channels_ = layers.linear.out;
    reader_.check_features("patch_embed.1", grid_, channels_);
    network_.passes.push_back(make_patch_embed(std::move(layers), grid_));
  }

  /// The blocks of a stage; without a window, bottlenecks.
  void read_blocks(const std::string& stage, std::int64_t window) {
    for (std::size_t i = 0;; ++i) {
      reader_.take_block();
      const std::string name = stage + ".blocks." + std::to_string(i);
      if (window == 0 && weights_.has(name + ".expand.weight")) {
        read_residual_bottleneck(name);
      } else if (window > 0 && weights_.has(name + ".qkv.weight")) {
        read_block(name, window);
      } else {
        return;
      }
    }
  }

  [[nodiscard]] BottleneckLayers bottleneck(const std::string& name, Format expand, Format project) const {
    BottleneckLayers layers;
    layers.expand = reader_.linear(name + ".expand", channels_, grid_, expand);
    layers.depthwise = reader_.depthwise(name + ".depthwise", layers.expand.out);
    layers.project = reader_.linear(name + ".project", layers.expand.out, grid_, project);
    return layers;
  }

  void read_residual_bottleneck(const std::string& name) {
    BottleneckLayers layers = bottleneck(name, precision_.bottleneck, precision_.bottleneck);
    layers.residual = true;
    if (layers.project.out != channels_) refuse_channels(name);
    network_.passes.push_back(make_bottleneck(std::move(layers), grid_));
  }

  void read_merge(const std::string& stage, std::int64_t stride) {
    if (grid_ % stride != 0) weights_.refuse("\"" + stage + "\" halves a grid of " + std::to_string(grid_));
    const std::string name = stage + ".merge";
    BottleneckLayers layers = bottleneck(name, precision_.merge_expand, precision_.merge_project);
    layers.stride = stride;
    channels_ = layers.project.out;
    reader_.check_features(name, grid_ / stride, channels_);
    network_.passes.push_back(make_bottleneck(std::move(layers), grid_));
    grid_ /= stride;
  }

  /// Window attention, depthwise convolution, perceptron.
  void read_block(const std::string& name, std::int64_t window) {
    AttentionLayers attention;
    PerceptronLayers perceptron;
    attention.heads = channels_ / kBlock;
    attention.qkv = reader_.linear(name + ".qkv", channels_, grid_, precision_.attention);
    attention.proj = reader_.linear(name + ".proj", channels_, grid_, precision_.attention);
    perceptron.fc1 = reader_.linear(name + ".fc1", channels_, grid_, precision_.perceptron);
    perceptron.fc2 = reader_.linear(name + ".fc2", perceptron.fc1.out, grid_, precision_.perceptron);
    perceptron.depthwise = reader_.depthwise(name + ".depthwise", channels_);
    if (attention.qkv.out != 3 * channels_ || attention.proj.out != channels_ || perceptron.fc2.out != channels_) {
      refuse_channels(name);
    }
    if (attention.qkv.bias.empty()) weights_.refuse("has no tensor \"" + name + ".qkv.bias\"");
    const float* biases = weights_.tensor(name + ".attention_biases", {attention.heads, window * window});
    reader_.take_tables(windows_bytes(attention.heads, window, grid_));
    attention.windows = make_windows(biases, attention.heads, window, grid_);
    network_.passes.push_back(make_window_attention(std::move(attention), grid_));
    network_.passes.push_back(make_perceptron(std::move(perceptron), grid_));
  }

  void read_neck() {
    NeckLayers layers;
    layers.reduce = reader_.linear("neck.0", channels_, grid_, precision_.neck, false);
    Linear& smooth = layers.smooth;
    smooth.in = layers.reduce.out;
    smooth.out = reader_.columns("neck.1", grid_);
    reader_.check_features("neck.0", grid_ + 2, layers.reduce.out);
    std::vector<std::int64_t> taps;
    for (std::int64_t y = 0; y < 3; ++y) {
      for (std::int64_t x = 0; x < 3; ++x) taps.push_back((y * (grid_ + 2) + x) * smooth.in);
    }
    smooth.matrix = kernels::pack_matrix(weights_.tensor("neck.1.weight", {9 * smooth.in, smooth.out}), smooth.in,
                                         smooth.out, precision_.neck, taps);
    layers.reduce_norm = reader_.norm("neck.0.norm", layers.reduce.out, kLayerNorm2dEpsilon);
    layers.smooth_norm = reader_.norm("neck.1.norm", smooth.out, kLayerNorm2dEpsilon);
    network_.output_shape = {1, smooth.out, grid_, grid_};
    network_.passes.push_back(make_neck(std::move(layers), grid_));
  }

  [[noreturn]] void refuse_channels(const std::string& name) const {
    weights_.refuse("\"" + name + "\" changes the number of channels");
  }

  const Weights& weights_;
  LayerReader reader_;
  const Precision& precision_;
  Network network_;
  std::int64_t grid_ = 0, channels_ = 0;
};

}  // namespace

Network load_tiny_vit(const Weights& weights, const Precision& precision) { return TinyViT(weights, precision).read(); }

}  // namespace medsam::backends::native
