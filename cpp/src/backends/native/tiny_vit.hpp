// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// TinyViT (Wu et al., arXiv 2207.10666) as LiteMedSAM has it: tools/medsam_engine_tools/export/nn/tiny_vit.py is the
// same network in PyTorch.
#pragma once

#include "backends/native/layers.hpp"
#include "backends/native/network.hpp"
#include "backends/native/weights.hpp"

namespace medsam::backends::native {

/// What the operands of each kind of layer are.
struct Precision {
  Format patch_embed, bottleneck, merge_expand, merge_project, attention, perceptron, neck;
};

/// Reads and packs the weights: a network from (1, 3, side, side) to the embedding, (1, channels, grid, grid).
/// ModelError where they are not a TinyViT that this code computes.
Network load_tiny_vit(const Weights& weights, const Precision& precision);

}  // namespace medsam::backends::native
