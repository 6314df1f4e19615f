// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "backends/native/layer_reader.hpp"

#include "backends/native/padded_rows.hpp"

namespace medsam::backends::native {

namespace {

// 16 times what LiteMedSAM has, which is 2^22 features and 2^16 elements in a row of a hidden layer: room for a larger
// TinyViT, and at most 512 MiB for the two buffers of features and 12 MiB for a thread's three rows. What linear
// attention takes of whole grids is bounded by its grid (efficient_vit.cpp).
constexpr std::int64_t kMostFeatures = 1 << 26, kLongestRow = 1 << 20;
// LiteMedSAM has 12, a ViT-H 32. A block may be as small as a file likes, so that the file's size bounds nothing.
constexpr std::size_t kMostBlocks = 256;
// What a few numbers of the file become, tables over all pairs of a window's tokens: at most so many times the file,
// and a little for small files. LiteMedSAM has 0.3 of its file, TinyViT-21M of 512 pixels 4.
constexpr std::uint64_t kTablesPerFile = 4, kTablesOfAnyFile = std::uint64_t{1} << 20;

}  // namespace

LayerReader::LayerReader(const Weights& weights)
    : weights_(weights), table_bytes_(kTablesPerFile * weights.size() + kTablesOfAnyFile) {}

void LayerReader::take_block() {
  if (++blocks_ > kMostBlocks) weights_.refuse("has more than " + std::to_string(kMostBlocks) + " blocks");
}

void LayerReader::take_tables(std::uint64_t bytes) {
  if (bytes > table_bytes_) {
    weights_.refuse("its tables of windows would take more than " + std::to_string(kTablesPerFile) +
                    " times the file's " + std::to_string(weights_.size()) + " bytes");
  }
  table_bytes_ -= bytes;
}

std::int64_t LayerReader::columns(const std::string& name, std::int64_t grid) const {
  const auto& shape = weights_.shape(name + ".weight");
  if (shape.size() != 2 || shape[1] % kBlock != 0) {
    weights_.refuse("\"" + name + "\" has a number of channels that is no multiple of 32");
  }
  if (shape[1] > kLongestRow / grid) {
    weights_.refuse("\"" + name + "\" has " + std::to_string(shape[1]) + " channels on a grid of " +
                    std::to_string(grid) + ", expected at most " + std::to_string(kLongestRow / grid));
  }
  return shape[1];
}

void LayerReader::check_features(const std::string& name, std::int64_t grid, std::int64_t channels) const {
  if (channels > kMostFeatures / (grid * grid)) {
    weights_.refuse("\"" + name + "\" makes " + std::to_string(channels) + " channels of a grid of " +
                    std::to_string(grid) + ", expected at most " + std::to_string(kMostFeatures / (grid * grid)));
  }
}

std::vector<float> LayerReader::values(const std::string& name, const std::vector<std::int64_t>& shape) const {
  const float* data = weights_.tensor(name, shape);
  std::int64_t count = 1;
  for (const std::int64_t d : shape) count *= d;
  return {data, data + count};
}

Linear LayerReader::linear(const std::string& name, std::int64_t in, std::int64_t grid, Format format,
                           bool biased) const {
  Linear linear;
  linear.in = in;
  linear.out = columns(name, grid);
  linear.matrix = kernels::pack_matrix(weights_.tensor(name + ".weight", {in, linear.out}), in, linear.out, format);
  if (biased) linear.bias = values(name + ".bias", {linear.out});
  return linear;
}

Linear LayerReader::convolution(const std::string& name, std::int64_t in, std::int64_t grid, Format format) const {
  Linear linear;
  linear.in = in;
  linear.out = columns(name, grid);
  check_features(name, grid + 2, in);
  const float* matrix = weights_.tensor(name + ".weight", {9 * in, linear.out});
  linear.matrix = kernels::pack_matrix(matrix, in, linear.out, format, tap_offsets(grid, in));
  linear.bias = values(name + ".bias", {linear.out});
  return linear;
}

Depthwise LayerReader::depthwise(const std::string& name, std::int64_t channels) const {
  return {values(name + ".weight", {9, channels}), values(name + ".bias", {channels}), 3};
}

Norm LayerReader::norm(const std::string& name, std::int64_t channels, float epsilon) const {
  return {epsilon, values(name + ".weight", {channels}), values(name + ".bias", {channels})};
}

}  // namespace medsam::backends::native
