// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// All passes. "features" and "next" are the frame's two buffers, (height, width, channels), f32; the working
// set is what a piece of work holds beside the weights, of LiteMedSAM's passes of that kind, in bf16 and in f32.
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
// All but the neck state a Locality, and of a padded image compute the rows, columns and windows of Frame::region only.
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

}  // namespace medsam::backends::native
