// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// All passes. "features" and "next" are the frame's two buffers, (height, width, channels), f32, and "kept" a third
// one that stays between passes which are apart; the working set is what a piece of work holds beside the weights, in
// bf16 and in f32. LiteMedSAM's:
//
// | pass            | reads    | writes               | piece of work                    | working set, KiB         |
// | --------------- | -------- | -------------------- | -------------------------------- | ------------------------ |
// | PatchEmbed      | input    | next, all pixels     | a row, 256 pixels after others   | 64; 64                   |
// | Bottleneck      | features | next, grid / stride  | a band of rows, one after other  | 340 to 928; 360 to 1088  |
// | WindowAttention | features | features, in place   | windows of 196 tokens together   | 466 to 1117; 786 to 1917 |
// | Perceptron      | features | next, the same grid  | rows of 128 tokens together      | 224 to 560; 384 to 960   |
// | Neck            | features | output, planar; uses | a row, in each of two loops over | 104; 144                 |
// |                 |          | next between loops   | the rows                         |                          |
//
// EfficientViT's, of MedficientSAM-L1:
//
// | Stem            | input    | next, half the side  | a row                            | 64; 64                   |
// | Residual-       | features | features, in place;  | 8 rows, in each of two loops     | 164; 328                 |
// | Convolutions    |          | uses next            |                                  |                          |
// | FusedBottleneck | features | next, grid / stride  | 4 rows, one after the other      | 278 to 284; 556 to 568   |
// | Winograd-       | features | next, the same grid  | 64 tiles of 2 x 2 pixels, 64     | 512 to 896; 768 to 1536  |
// | Bottleneck      |          |                      | channels after the other         |                          |
// | WideBottleneck  | features | next, grid / stride  | 512 pixels, some of the hidden   | 1024 to 1744; 1536 to    |
// |                 |          |                      | channels after the other         | 2480                     |
// | LinearAttention | features | features, in place;  | a head, in the second of three   | 240; 288                 |
// |                 |          | uses next            | loops; else 64 tokens            |                          |
// | MergedMap       | features | kept, or features;   | a row, in each of two loops      | 64; 64                   |
// |                 |          | uses next            |                                  |                          |
// | Projection      | features | output, planar       | a row                            | 128; 128                 |
//
// Those of LiteMedSAM but the neck state a Locality, and of a padded image compute the rows, columns and windows of
// Frame::region only.
// A pass that writes "next" ends with Frame::advance. A core of Zen 4, Zen 5 or Sapphire Rapids has 1 to 2 MiB of cache
// of its own. A new pass: CONTRIBUTING.md, "Recipe: a pass of the native encoder".
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "backends/native/layers.hpp"
#include "backends/native/windows.hpp"

namespace medsam::backends::native {

using PassPtr = std::unique_ptr<const Pass>;

/// Two 1x1 convolutions, GELU between them.
struct PatchEmbedLayers {
  std::vector<float> planes_weight, planes_bias;  // of the first: (3, channels), (channels)
  Linear linear;
};
/// For a square image of `side` pixels, a multiple of 32.
PassPtr make_patch_embed(PatchEmbedLayers layers, std::int64_t side);

/// 1x1, depthwise 3x3, 1x1: with a residual connection (MBConv), or between two stages (PatchMerging).
struct BottleneckLayers {
  Linear expand, project;
  Depthwise depthwise;
  std::int64_t stride = 1;  // divides the grid
  bool residual = false;    // of stride 1, and project.out is expand.in
};
PassPtr make_bottleneck(BottleneckLayers layers, std::int64_t grid);

/// Adds the attention of the windows to the features.
struct AttentionLayers {
  Linear qkv, proj;
  std::int64_t heads = 0;
  Windows windows;
};
PassPtr make_window_attention(AttentionLayers layers, std::int64_t grid);

/// Depthwise convolution, then the perceptron with its residual.
struct PerceptronLayers {
  Depthwise depthwise;
  Linear fc1, fc2;
};
PassPtr make_perceptron(PerceptronLayers layers, std::int64_t grid);

/// 1x1 and 3x3 convolution, each with a layer norm behind it. `smooth` takes its nine taps from rows of grid + 2
/// pixels.
struct NeckLayers {
  Linear reduce, smooth;
  Norm reduce_norm, smooth_norm;
};
PassPtr make_neck(NeckLayers layers, std::int64_t grid);

/// 3x3 convolution of stride 2, GELU by tanh. For a square image of `side` pixels, an even number. `layer` has 32 rows:
/// of the taps (3, 3, planes), then of zeros.
PassPtr make_stem(Linear layer, std::int64_t side);

/// Two 3x3 convolutions, GELU by tanh between them, with a residual connection. Their taps are those of a row of grid +
/// 2 pixels (padded_rows.hpp).
struct ResidualConvolutionsLayers {
  Linear first, second;  // second.out is first.in
};
PassPtr make_residual_convolutions(ResidualConvolutionsLayers layers, std::int64_t grid);

/// 3x3 and 1x1 convolution, GELU by tanh between them: with a residual connection, or between two stages.
struct FusedBottleneckLayers {
  Linear spatial, project;  // spatial's taps are those of a row of grid + 2 pixels
  std::int64_t stride = 1;  // divides the grid
  bool residual = false;    // of stride 1, and project.out is spatial.in
};
PassPtr make_fused_bottleneck(FusedBottleneckLayers layers, std::int64_t grid);

/// The same without stride, its 3x3 convolution by Winograd's F(2x2, 3x3). The grid is even.
struct WinogradBottleneckLayers {
  struct Part {
    std::vector<Linear> products;  // of the 16 elements of a tile
    std::vector<float> bias;       // (channels), or empty
  };
  std::vector<Part> parts;  // some of the hidden channels each, the first the most
  Linear project;
  bool residual = false;  // project.out is the input's
};
PassPtr make_winograd_bottleneck(WinogradBottleneckLayers layers, std::int64_t grid);

/// 1x1, depthwise 3x3, 1x1 of some of the hidden channels, GELU by tanh between them.
struct WideBottleneckPart {
  Linear expand, project;  // expand.out is project.in
  Depthwise depthwise;
};
/// The sum of its parts: with a residual connection, or between two stages.
struct WideBottleneckLayers {
  std::vector<WideBottleneckPart> parts;  // the first is the widest, and has project's bias
  std::int64_t stride = 1;                // divides the grid
  bool residual = false;                  // of stride 1, and project.out is expand.in
};
PassPtr make_wide_bottleneck(WideBottleneckLayers layers, std::int64_t grid);
/// Rows of the output that are computed at a time; hidden channels of a part, so that those rows of them stay in cache.
std::int64_t wide_bottleneck_rows(std::int64_t out_width);
std::int64_t wide_bottleneck_part(std::int64_t grid, std::int64_t stride);

/// A head of linear attention, of 32 channels each of queries, keys and values.
struct LinearAttentionHead {
  Linear qkv;        // to (query, key, value)
  Depthwise scale;   // of those 96 channels, to the second scale's
  Linear groups[3];  // and behind it, (32, 32) each
};
/// Adds the attention of two scales to the features.
struct LinearAttentionLayers {
  std::vector<LinearAttentionHead> heads;
  Linear proj;  // of the heads of the first scale, then of the second; proj.out is 32 times the heads
};
PassPtr make_linear_attention(LinearAttentionLayers layers, std::int64_t grid);

enum class Merge : std::uint8_t { first, middle, last };
/// 1x1 convolution of a map, bicubic to a grid of `to`, and the sum with the maps before it, which the last makes the
/// features. `to` is not below `grid`.
PassPtr make_merged_map(Linear layer, std::int64_t grid, std::int64_t to, Merge merge);

/// 1x1 convolution and a layer norm, the last pass.
PassPtr make_projection(Linear layer, Norm norm, std::int64_t grid);

}  // namespace medsam::backends::native
