// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include <algorithm>
#include <cmath>
#include <limits>

#include "backends/native/tiny_vit.hpp"

namespace medsam::backends::native {

namespace {

using kernels::kBlock;

// Windows are projected together until they have this many tokens: 49 alone would fill 64 rows of a product.
constexpr std::int64_t kGroupTokens = 196;

// A file is not trusted: what a few numbers of its header make of its weights is bounded before memory is asked for.
// LiteMedSAM has an image side of 256, windows of 14, 2^22 features and 2^16 elements in a row of a hidden layer.
constexpr std::int64_t kLargestSide = 1024, kLargestWindow = 32;
constexpr std::int64_t kMostFeatures = 1 << 26, kLongestRow = 1 << 20;
constexpr std::size_t kMostBlocks = 256;
// What a few numbers of the file become, tables over all pairs of a window's tokens and lists of windows: at most so
// many times the file, and a little for small files. LiteMedSAM has 0.3 of its file, TinyViT-21M of 512 pixels 4.
constexpr std::uint64_t kTablesPerFile = 4, kTablesOfAnyFile = std::uint64_t{1} << 20;

/// What is left of the blocks and of the bytes for their tables.
class Budget {
 public:
  explicit Budget(const Weights& weights)
      : weights_(weights), bytes_(kTablesPerFile * weights.size() + kTablesOfAnyFile) {}
  void take_block() {
    if (++blocks_ > kMostBlocks) weights_.refuse("has more than " + std::to_string(kMostBlocks) + " blocks");
  }
  void take_tables(std::uint64_t bytes) {
    if (bytes > bytes_) {
      weights_.refuse("its tables of windows would take more than " + std::to_string(kTablesPerFile) +
                      " times the file's " + std::to_string(weights_.size()) + " bytes");
    }
    bytes_ -= bytes;
  }

 private:
  const Weights& weights_;
  std::uint64_t bytes_;
  std::size_t blocks_ = 0;
};

/// Channels of a layer; `grid` pixels or tokens of it are a row, and grid^2 of them all there are at a time.
std::int64_t columns(const Weights& weights, const std::string& name, std::int64_t grid) {
  const auto& shape = weights.shape(name + ".weight");
  if (shape.size() != 2 || shape[1] % kBlock != 0) {
    weights.refuse("\"" + name + "\" has a number of channels that is no multiple of 32");
  }
  if (shape[1] > kLongestRow / grid) {
    weights.refuse("\"" + name + "\" has " + std::to_string(shape[1]) + " channels on a grid of " +
                   std::to_string(grid) + ", expected at most " + std::to_string(kLongestRow / grid));
  }
  return shape[1];
}

/// What is kept of a whole image between two passes.
void check_features(const Weights& weights, const std::string& name, std::int64_t grid, std::int64_t channels) {
  if (channels > kMostFeatures / (grid * grid)) {
    weights.refuse("\"" + name + "\" makes " + std::to_string(channels) + " channels of a grid of " +
                   std::to_string(grid) + ", expected at most " + std::to_string(kMostFeatures / (grid * grid)));
  }
}

std::vector<float> values(const Weights& weights, const std::string& name, const std::vector<std::int64_t>& shape) {
  const float* data = weights.tensor(name, shape);
  std::int64_t count = 1;
  for (const std::int64_t d : shape) count *= d;
  return {data, data + count};
}

Linear load_linear(const Weights& weights, const std::string& name, std::int64_t in, std::int64_t grid,
                   Operand operand) {
  Linear linear;
  linear.in = in;
  linear.out = columns(weights, name, grid);
  linear.matrix = kernels::pack_matrix(weights.tensor(name + ".weight", {in, linear.out}), in, linear.out, operand);
  if (weights.has(name + ".bias")) linear.bias = values(weights, name + ".bias", {linear.out});
  return linear;
}

Depthwise load_depthwise(const Weights& weights, const std::string& name, std::int64_t channels) {
  return {values(weights, name + ".weight", {9, channels}), values(weights, name + ".bias", {channels})};
}

Bottleneck load_bottleneck(const Weights& weights, const std::string& name, std::int64_t in, std::int64_t grid,
                           Operand expand, Operand project) {
  Bottleneck layer;
  layer.expand = load_linear(weights, name + ".expand", in, grid, expand);
  layer.depthwise = load_depthwise(weights, name + ".depthwise", layer.expand.out);
  layer.project = load_linear(weights, name + ".project", layer.expand.out, grid, project);
  return layer;
}

/// What is added to the scores of a kind of window. Padding is one key: its tokens are all the same, and
/// sum_j exp(q k + bias_j) = exp(q k + log sum_j exp(bias_j)).
void fill_bias(const float* biases, std::int64_t heads, std::int64_t window, WindowKind& kind) {
  const std::int64_t tokens = kind.height * kind.width;
  kind.bias.assign(static_cast<std::size_t>(heads * tokens * kind.key_stride), -std::numeric_limits<float>::infinity());
  for (std::int64_t head = 0; head < heads; ++head) {
    for (std::int64_t query = 0; query < tokens; ++query) {
      float* row = kind.bias.data() + (head * tokens + query) * kind.key_stride;
      double padding = 0;
      for (std::int64_t y = 0; y < window; ++y) {
        for (std::int64_t x = 0; x < window; ++x) {
          const std::int64_t offset = std::abs(query / kind.width - y) * window + std::abs(query % kind.width - x);
          const float bias = biases[head * window * window + offset];
          if (y < kind.height && x < kind.width) {
            row[y * kind.width + x] = bias;
          } else {
            padding += std::exp(static_cast<double>(bias));
          }
        }
      }
      if (kind.cut) row[tokens] = static_cast<float>(std::log(padding));
    }
  }
}

void load_windows(const float* biases, std::int64_t window, std::int64_t grid, Budget& budget, Block& block) {
  const std::int64_t whole = grid >= window ? window : 0, rest = grid % window;
  std::uint64_t bytes = 0;
  for (const std::int64_t height : {whole, rest}) {
    for (const std::int64_t width : {whole, rest}) {
      WindowKind kind{height, width, 0, height * width < window * window, {}};
      kind.key_stride = (height * width + (kind.cut ? 1 : 0) + kBlock - 1) / kBlock * kBlock;
      bytes += sizeof(float) * static_cast<std::uint64_t>(block.heads * height * width * kind.key_stride);
      block.kinds.push_back(std::move(kind));
    }
  }
  const std::int64_t side = (grid + window - 1) / window;
  // A list that grows holds up to twice what is in it; a group has a window at least.
  bytes += 2 * static_cast<std::uint64_t>(side * side) * (sizeof(Window) + sizeof(std::vector<Window>));
  budget.take_tables(bytes);
  for (WindowKind& kind : block.kinds) {
    if (kind.height > 0 && kind.width > 0) fill_bias(biases, block.heads, window, kind);
  }
  std::int64_t tokens = kGroupTokens;
  for (std::int64_t y = 0; y < grid; y += window) {
    for (std::int64_t x = 0; x < grid; x += window) {
      const std::size_t kind = (grid - y < window ? 2U : 0U) + (grid - x < window ? 1U : 0U);
      const std::int64_t own = block.kinds[kind].height * block.kinds[kind].width;
      if (tokens + own > kGroupTokens) {
        block.groups.emplace_back();
        tokens = 0;
      }
      block.groups.back().push_back({y, x, kind});
      tokens += own;
    }
  }
}

Block load_block(const Weights& weights, const std::string& name, std::int64_t channels, std::int64_t window,
                 std::int64_t grid, const Precision& precision, Budget& budget) {
  Block block;
  block.heads = channels / kBlock;
  block.qkv = load_linear(weights, name + ".qkv", channels, grid, precision.attention);
  block.proj = load_linear(weights, name + ".proj", channels, grid, precision.attention);
  block.fc1 = load_linear(weights, name + ".fc1", channels, grid, precision.perceptron);
  block.fc2 = load_linear(weights, name + ".fc2", block.fc1.out, grid, precision.perceptron);
  block.depthwise = load_depthwise(weights, name + ".depthwise", channels);
  if (block.qkv.out != 3 * channels || block.proj.out != channels || block.fc2.out != channels) {
    weights.refuse("\"" + name + "\" changes the number of channels");
  }
  if (block.qkv.bias.empty()) weights.refuse("has no tensor \"" + name + ".qkv.bias\"");
  // A token of zeros stays one when it is normalised: its key and value are the biases.
  block.padding.resize(static_cast<std::size_t>(2 * channels));
  kernels::available_encoder_kernels().back()->round(block.qkv.bias.data() + channels, block.padding.data(),
                                                     2 * channels);
  load_windows(weights.tensor(name + ".attention_biases", {block.heads, window * window}), window, grid, budget, block);
  return block;
}

Neck load_neck(const Weights& weights, std::int64_t in, std::int64_t grid, Operand operand) {
  Neck neck;
  neck.reduce = load_linear(weights, "neck.0", in, grid, operand);
  neck.smooth.in = neck.reduce.out;
  neck.smooth.out = columns(weights, "neck.1", grid);
  check_features(weights, "neck.0", grid + 2, neck.reduce.out);
  std::vector<std::int64_t> taps;
  for (std::int64_t y = 0; y < 3; ++y) {
    for (std::int64_t x = 0; x < 3; ++x) taps.push_back((y * (grid + 2) + x) * neck.smooth.in);
  }
  neck.smooth.matrix = kernels::pack_matrix(weights.tensor("neck.1.weight", {9 * neck.smooth.in, neck.smooth.out}),
                                            neck.smooth.in, neck.smooth.out, operand, taps);
  for (int i = 0; i < 2; ++i) {
    const std::string norm = "neck." + std::to_string(i) + ".norm";
    const std::int64_t channels = i == 0 ? neck.reduce.out : neck.smooth.out;
    neck.weight[i] = values(weights, norm + ".weight", {channels});
    neck.bias[i] = values(weights, norm + ".bias", {channels});
  }
  return neck;
}

/// The blocks of a stage; without a window, bottlenecks.
Stage load_blocks(const Weights& weights, const std::string& name, std::int64_t channels, std::int64_t window,
                  std::int64_t grid, const Precision& precision, Budget& budget) {
  Stage stage;
  for (std::size_t i = 0;; ++i) {
    budget.take_block();
    const std::string block = name + ".blocks." + std::to_string(i);
    if (window == 0 && weights.has(block + ".expand.weight")) {
      stage.bottlenecks.push_back(
          load_bottleneck(weights, block, channels, grid, precision.bottleneck, precision.bottleneck));
      stage.bottlenecks.back().residual = true;
      if (stage.bottlenecks.back().project.out != channels) {
        weights.refuse("\"" + block + "\" changes the number of channels");
      }
    } else if (window > 0 && weights.has(block + ".qkv.weight")) {
      stage.blocks.push_back(load_block(weights, block, channels, window, grid, precision, budget));
    } else {
      return stage;
    }
  }
}

}  // namespace

TinyVitModel load_tiny_vit(const Weights& weights, const Precision& precision) {
  TinyVitModel model;
  Budget budget(weights);
  const std::vector<std::int64_t> sizes = weights.numbers("input_size"), strides = weights.numbers("strides"),
                                  windows = weights.numbers("windows");
  const auto above = [](const std::vector<std::int64_t>& values, std::int64_t most) {
    return std::any_of(values.begin(), values.end(), [most](std::int64_t v) { return v > most; });
  };
  if (sizes.size() != 1 || strides.size() < 2 || strides.size() != windows.size() + 2 || above(strides, 2) ||
      strides[0] != 1 || strides[1] != 1 || sizes[0] % 32 != 0 || above(sizes, kLargestSide) ||
      above(windows, kLargestWindow)) {
    weights.refuse("is a TinyViT of another shape than this version computes");
  }
  model.input_size = model.grid = sizes[0];
  std::int64_t channels = columns(weights, "patch_embed.0", model.grid);
  model.planes_weight = values(weights, "patch_embed.0.weight", {3, channels});
  model.planes_bias = values(weights, "patch_embed.0.bias", {channels});
  model.patch_embed = load_linear(weights, "patch_embed.1", channels, model.grid, precision.patch_embed);
  channels = model.patch_embed.out;
  check_features(weights, "patch_embed.1", model.grid, channels);
  for (std::size_t i = 0; i <= windows.size(); ++i) {
    const std::string name = "stages." + std::to_string(i);
    Stage stage = load_blocks(weights, name, channels, i == 0 ? 0 : windows[i - 1], model.grid, precision, budget);
    if (i < windows.size()) {
      const std::int64_t stride = strides[i + 2];
      if (model.grid % stride != 0) weights.refuse("\"" + name + "\" halves a grid of " + std::to_string(model.grid));
      stage.merge.push_back(load_bottleneck(weights, name + ".merge", channels, model.grid, precision.merge_expand,
                                            precision.merge_project));
      stage.merge[0].stride = stride;
      channels = stage.merge[0].project.out;
      model.grid /= stride;
      check_features(weights, name + ".merge", model.grid, channels);
    }
    model.stages.push_back(std::move(stage));
  }
  model.neck = load_neck(weights, channels, model.grid, precision.neck);
  return model;
}

}  // namespace medsam::backends::native
