// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "backends/native/efficient_vit.hpp"

#include <algorithm>
#include <utility>

#include "backends/native/layer_reader.hpp"
#include "backends/native/passes.hpp"

namespace medsam::backends::native {

namespace {

constexpr std::int64_t kLargestSide = 1024;  // EfficientViT-SAM-XL's
constexpr std::int64_t kNeckGrid = 64;       // of any input; maps and attention have no larger ones
constexpr std::int64_t kMaps = 3;            // stages that the neck merges
constexpr std::int64_t kHead = 3 * kBlock;
// Of 32 channels the transforms take as long as the products that they save.
constexpr std::int64_t kWinogradChannels = 64;
constexpr std::int64_t kWinogradPart = 64;  // channels of the output whose sums are in cache at a time

struct Slice {
  std::int64_t first, count;
};

/// A part of a matrix of rows of `width`.
std::vector<float> part_of(const float* matrix, std::int64_t width, Slice rows, Slice columns) {
  std::vector<float> part;
  part.reserve(size(rows.count * columns.count));
  for (std::int64_t r = rows.first; r < rows.first + rows.count; ++r) {
    const float* row = matrix + r * width + columns.first;
    part.insert(part.end(), row, row + columns.count);
  }
  return part;
}

Linear linear_of(const float* matrix, std::int64_t width, Slice rows, Slice columns, Format format) {
  Linear linear;
  linear.in = rows.count;
  linear.out = columns.count;
  linear.matrix = kernels::pack_matrix(part_of(matrix, width, rows, columns).data(), rows.count, columns.count, format);
  return linear;
}

/// The kernel (3, 3, in, out) of a convolution as element (y, x) of Winograd's transform of it, G g G^T, (in, columns).
std::vector<float> winograd_element(const float* kernel, std::int64_t in, std::int64_t out, Slice columns,
                                    std::int64_t y, std::int64_t x) {
  static constexpr double kG[4][3] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
  std::vector<float> element(size(in * columns.count));
  for (std::int64_t i = 0; i < in; ++i) {
    for (std::int64_t c = 0; c < columns.count; ++c) {
      double sum = 0;
      for (std::int64_t tap = 0; tap < 9; ++tap) {
        sum += kG[y][tap / 3] * kG[x][tap % 3] * static_cast<double>(kernel[(tap * in + i) * out + columns.first + c]);
      }
      element[size(i * columns.count + c)] = static_cast<float>(sum);
    }
  }
  return element;
}

/// Reads the network's layers from the first to the last, each into the passes that compute it.
class EfficientVit {
 public:
  EfficientVit(const Weights& weights, const EfficientVitPrecision& precision)
      : weights_(weights), reader_(weights), precision_(precision) {}

  Network read() {
    const std::vector<std::int64_t> side = weights_.numbers("input_size");
    if (side.size() != 1 || side[0] > kLargestSide || side[0] % 2 != 0) {
      weights_.refuse("is an EfficientViT of another input size than this version computes");
    }
    grid_ = side[0];
    network_.input_shape = {1, 3, grid_, grid_};
    std::int64_t stages = 1;
    while (weights_.has(stage_name(stages) + ".merge.project.weight")) ++stages;
    if (stages < kMaps) weights_.refuse("has " + std::to_string(stages) + " stages, expected 3 or more");
    for (std::int64_t i = 0; i < stages; ++i) {
      i == 0 ? read_stem() : read_merge(stage_name(i) + ".merge");
      read_blocks(stage_name(i));
      if (i >= stages - kMaps) read_map(stages - 1 - i);
    }
    read_neck();
    return std::move(network_);
  }

 private:
  static std::string stage_name(std::int64_t i) { return "stages." + std::to_string(i); }

  void read_stem() {
    const std::int64_t columns = reader_.columns("stem", grid_ / 2);
    reader_.check_features("stem", grid_ / 2, columns);
    std::vector<float> matrix = reader_.values("stem.weight", {27, columns});
    matrix.resize(size(kBlock * columns));
    Linear layer = linear_of(matrix.data(), columns, {0, kBlock}, {0, columns}, precision_.stem);
    layer.bias = reader_.values("stem.bias", {columns});
    network_.passes.push_back(make_stem(std::move(layer), grid_));
    grid_ /= 2;
    channels_ = columns;
  }

  /// What opens a stage.
  void read_merge(const std::string& name) {
    if (grid_ % 2 != 0) weights_.refuse("\"" + name + "\" halves a grid of " + std::to_string(grid_));
    read_bottleneck(name, 2, false);
    grid_ /= 2;
  }

  void read_blocks(const std::string& stage) {
    for (std::size_t i = 0;; ++i) {
      reader_.take_block();
      const std::string name = stage + ".blocks." + std::to_string(i);
      if (weights_.has(name + ".first.weight")) {
        read_convolutions(name);
        continue;
      }
      if (weights_.has(name + ".qkv.weight")) read_attention(name);
      if (!weights_.has(name + ".project.weight")) return;
      read_bottleneck(name, 1, true);
    }
  }

  void read_convolutions(const std::string& name) {
    ResidualConvolutionsLayers layers;
    layers.first = reader_.convolution(name + ".first", channels_, grid_, precision_.convolution);
    reader_.check_features(name + ".first", grid_ + 2, layers.first.out);
    layers.second = reader_.convolution(name + ".second", layers.first.out, grid_, precision_.convolution);
    if (layers.second.out != channels_) refuse_channels(name);
    network_.passes.push_back(make_residual_convolutions(std::move(layers), grid_));
  }

  /// Of either kind.
  void read_bottleneck(const std::string& name, std::int64_t stride, bool residual) {
    const std::int64_t columns = reader_.columns(name + ".project", grid_);
    if (residual && columns != channels_) refuse_channels(name);
    reader_.check_features(name, grid_ / stride, columns);
    if (weights_.has(name + ".spatial.weight")) {
      const Format convolution = in_neck_ ? precision_.neck : residual ? precision_.convolution : precision_.merge;
      read_fused(name, stride, residual, convolution, residual ? convolution : precision_.merge_project);
    } else {
      read_wide(name, stride, residual, residual ? precision_.bottleneck : precision_.merge,
                residual ? precision_.bottleneck : precision_.merge_project);
    }
    channels_ = columns;
  }

  void read_fused(const std::string& name, std::int64_t stride, bool residual, Format spatial, Format project) {
    if (stride == 1 && grid_ % 2 == 0 && channels_ >= kWinogradChannels) {
      return read_winograd(name, residual, spatial, project);
    }
    FusedBottleneckLayers layers;
    layers.spatial = reader_.convolution(name + ".spatial", channels_, grid_, spatial);
    layers.project = reader_.linear(name + ".project", layers.spatial.out, grid_, project);
    layers.stride = stride;
    layers.residual = residual;
    network_.passes.push_back(make_fused_bottleneck(std::move(layers), grid_));
  }

  void read_winograd(const std::string& name, bool residual, Format spatial, Format project) {
    const std::string convolution = name + ".spatial";
    const std::int64_t hidden = reader_.columns(convolution, grid_);
    const float* kernel = weights_.tensor(convolution + ".weight", {9 * channels_, hidden});
    const std::vector<float> bias = reader_.values(convolution + ".bias", {hidden});
    WinogradBottleneckLayers layers;
    for (std::int64_t first = 0; first < hidden; first += kWinogradPart) {
      const Slice span{first, std::min(kWinogradPart, hidden - first)};
      WinogradBottleneckLayers::Part part;
      for (std::int64_t e = 0; e < 16; ++e) {
        const std::vector<float> element = winograd_element(kernel, channels_, hidden, span, e / 4, e % 4);
        part.products.push_back(linear_of(element.data(), span.count, {0, channels_}, {0, span.count}, spatial));
      }
      part.bias = part_of(bias.data(), hidden, {0, 1}, span);
      layers.parts.push_back(std::move(part));
    }
    layers.project = reader_.linear(name + ".project", hidden, grid_, project);
    layers.residual = residual;
    network_.passes.push_back(make_winograd_bottleneck(std::move(layers), grid_));
  }

  void read_wide(const std::string& name, std::int64_t stride, bool residual, Format expand, Format project) {
    WideBottleneckLayers layers;
    layers.stride = stride;
    layers.residual = residual;
    const std::int64_t hidden = reader_.columns(name + ".expand", grid_),
                       columns = reader_.columns(name + ".project", grid_), most = wide_bottleneck_part(grid_, stride);
    const float* expand_matrix = weights_.tensor(name + ".expand.weight", {channels_, hidden});
    const float* expand_bias = weights_.tensor(name + ".expand.bias", {hidden});
    const float* taps = weights_.tensor(name + ".depthwise.weight", {9, hidden});
    const float* taps_bias = weights_.tensor(name + ".depthwise.bias", {hidden});
    const float* project_matrix = weights_.tensor(name + ".project.weight", {hidden, columns});
    for (std::int64_t first = 0; first < hidden; first += most) {
      const Slice span{first, std::min(most, hidden - first)};
      WideBottleneckPart part;
      part.expand = linear_of(expand_matrix, hidden, {0, channels_}, span, expand);
      part.expand.bias = part_of(expand_bias, hidden, {0, 1}, span);
      part.depthwise = {part_of(taps, hidden, {0, 9}, span), part_of(taps_bias, hidden, {0, 1}, span), 3};
      part.project = linear_of(project_matrix, columns, span, {0, columns}, project);
      if (first == 0) part.project.bias = reader_.values(name + ".project.bias", {columns});
      layers.parts.push_back(std::move(part));
    }
    network_.passes.push_back(make_wide_bottleneck(std::move(layers), grid_));
  }

  void read_attention(const std::string& name) {
    const std::int64_t width = 3 * channels_;
    // A thread keeps a head's queries, keys and values of all tokens three times: at most 4.5 MiB of the neck's grid.
    check_grid(name);
    reader_.check_features(name, grid_, 4 * channels_);  // of both scales, and of operands
    static_cast<void>(reader_.columns(name + ".qkv", grid_));
    const float* qkv = weights_.tensor(name + ".qkv.weight", {channels_, width});
    const std::vector<std::int64_t>& scale_shape = weights_.shape(name + ".scale.weight");
    const std::int64_t scale_taps = scale_shape.empty() ? 0 : scale_shape[0];
    if (scale_taps != 9 && scale_taps != 25) weights_.refuse("\"" + name + ".scale\" is no convolution of 3x3 or 5x5");
    const float* scale = weights_.tensor(name + ".scale.weight", {scale_taps, width});
    const float* groups = weights_.tensor(name + ".groups.weight", {width, kBlock});
    LinearAttentionLayers layers;
    for (std::int64_t first = 0; first < width; first += kHead) {
      LinearAttentionHead head;
      head.qkv = linear_of(qkv, width, {0, channels_}, {first, kHead}, precision_.attention);
      head.scale = {part_of(scale, width, {0, scale_taps}, {first, kHead}), {}, scale_taps == 9 ? 3 : 5};
      for (std::int64_t part = 0; part < 3; ++part) {
        head.groups[part] =
            linear_of(groups, kBlock, {first + part * kBlock, kBlock}, {0, kBlock}, precision_.attention);
      }
      layers.heads.push_back(std::move(head));
    }
    layers.proj = reader_.linear(name + ".proj", 2 * channels_, grid_, precision_.attention);
    if (layers.proj.out != channels_) refuse_channels(name);
    network_.passes.push_back(make_linear_attention(std::move(layers), grid_));
  }

  /// A stage's map for the neck; the coarsest has number 0.
  void read_map(std::int64_t number) {
    const std::string name = "neck.inputs." + std::to_string(number);
    check_grid(name);
    Linear layer = reader_.linear(name, channels_, grid_, precision_.map);
    reader_.check_features(name, kNeckGrid, layer.out);
    if (width_ != 0 && layer.out != width_) refuse_channels(name);
    width_ = layer.out;
    const Merge merge = number == kMaps - 1 ? Merge::first : number > 0 ? Merge::middle : Merge::last;
    network_.passes.push_back(make_merged_map(std::move(layer), grid_, kNeckGrid, merge));
  }

  void read_neck() {
    grid_ = kNeckGrid;
    channels_ = width_;
    in_neck_ = true;
    read_blocks("neck");
    Linear layer = reader_.linear("neck.output", channels_, grid_, precision_.output);
    network_.output_shape = {1, layer.out, grid_, grid_};
    Norm norm = reader_.norm("neck.norm", layer.out, kLayerNorm2dEpsilon);
    network_.passes.push_back(make_projection(std::move(layer), std::move(norm), grid_));
  }

  void check_grid(const std::string& name) const {
    if (grid_ > kNeckGrid) {
      weights_.refuse("\"" + name + "\" has a grid of " + std::to_string(grid_) + ", expected at most " +
                      std::to_string(kNeckGrid));
    }
  }

  [[noreturn]] void refuse_channels(const std::string& name) const {
    weights_.refuse("\"" + name + "\" changes the number of channels");
  }

  const Weights& weights_;
  LayerReader reader_;
  const EfficientVitPrecision& precision_;
  Network network_;
  std::int64_t grid_ = 0, channels_ = 0, width_ = 0;  // width_: of the merged maps
  bool in_neck_ = false;
};

}  // namespace

Network load_efficient_vit(const Weights& weights, const EfficientVitPrecision& precision) {
  return EfficientVit(weights, precision).read();
}

}  // namespace medsam::backends::native
