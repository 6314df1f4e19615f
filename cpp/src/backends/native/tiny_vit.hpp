// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// TinyViT (Wu et al., arXiv 2207.10666) as LiteMedSAM has it: tools/medsam_engine_tools/export/nn/tiny_vit.py is the
// same network in PyTorch. Each stage of work is one pass over the image in pieces that stay in a core's own cache.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "backends/native/thread_pool.hpp"
#include "backends/native/weights.hpp"
#include "kernels/encoder/encoder_kernels.hpp"

namespace medsam::backends::native {

using kernels::Bf16;
using kernels::Operand;

/// What the operands of each kind of layer are.
struct Precision {
  Operand patch_embed, bottleneck, merge_expand, merge_project, attention, perceptron, neck;
};

/// Matrix and bias.
struct Linear {
  kernels::PackedMatrix matrix;
  std::vector<float> bias;
  std::int64_t in = 0, out = 0;
};

struct Depthwise {
  std::vector<float> weight, bias;
};

/// 1x1, depthwise 3x3, 1x1: with a residual connection (MBConv), or between two stages (PatchMerging).
struct Bottleneck {
  Linear expand, project;
  Depthwise depthwise;
  std::int64_t stride = 1;
  bool residual = false;
};

/// Windows that have the same number of rows and columns inside the grid.
struct WindowKind {
  std::int64_t height, width, key_stride;
  bool cut;                 // padding follows the tokens as one more key
  std::vector<float> bias;  // (heads, tokens, key_stride)
};

struct Window {
  std::int64_t y, x;
  std::size_t kind;
};

/// Window attention, depthwise convolution, perceptron.
struct Block {
  Linear qkv, proj, fc1, fc2;
  Depthwise depthwise;
  std::vector<Bf16> padding;  // (2 * channels): key and value of the padding, which are the biases
  std::int64_t heads = 0;
  std::vector<WindowKind> kinds;
  std::vector<std::vector<Window>> groups;  // windows that are projected together
};

struct Stage {
  std::vector<Bottleneck> bottlenecks;
  std::vector<Block> blocks;
  std::vector<Bottleneck> merge;  // none or one
};

struct Neck {
  Linear reduce, smooth;
  std::vector<float> weight[2], bias[2];  // of the layer norm behind each
};

struct TinyVitModel {
  std::int64_t input_size = 0;
  std::vector<float> planes_weight, planes_bias;  // of the first 1x1 convolution: (3, channels), (channels)
  Linear patch_embed;
  std::vector<Stage> stages;
  Neck neck;
  std::int64_t grid = 0;  // of the embedding

  /// (1, channels, grid, grid).
  [[nodiscard]] std::vector<std::int64_t> output_shape() const { return {1, neck.smooth.out, grid, grid}; }
};

/// Reads and packs the weights. ModelError where they are not a TinyViT that this code computes.
TinyVitModel load_tiny_vit(const Weights& weights, const Precision& precision);

/// What computes: kernels, products and threads.
struct Machine {
  const kernels::EncoderKernels* kernels;
  const kernels::BlockProduct* product;
  ThreadPool* threads;
};

/// Memory for one run at a time.
class Workspace {
 public:
  Workspace(const TinyVitModel& model, std::size_t threads);
  float *current, *next;  // features: (h, w, channels)
  [[nodiscard]] std::byte* scratch(std::size_t slot) { return scratch_.get() + slot * scratch_bytes_; }

 private:
  struct Free {
    void operator()(std::byte* p) const;
  };
  using Bytes = std::unique_ptr<std::byte[], Free>;
  static Bytes allocate(std::size_t bytes);
  std::size_t scratch_bytes_;
  Bytes features_, scratch_;
};

/// image: (3, input_size, input_size) f32 in [0, 1]; embedding: output_shape(), f32. noexcept in all but name:
/// allocates nothing and checks nothing.
void run_tiny_vit(const TinyVitModel& model, const Machine& machine, const float* image, Workspace& workspace,
                  float* embedding);

}  // namespace medsam::backends::native
