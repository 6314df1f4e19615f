// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// EfficientViT (Cai et al., arXiv 2205.14756) with the neck of EfficientViT-SAM (arXiv 2402.05008):
// tools/medsam_engine_tools/export/nn/efficient_vit.py is the same network in PyTorch.
#pragma once

#include "backends/native/layers.hpp"
#include "backends/native/network.hpp"
#include "backends/native/weights.hpp"

namespace medsam::backends::native {

/// What the operands of each kind of layer are. Sums of linear attention are f32 in any case.
struct EfficientVitPrecision {
  Format stem, convolution, bottleneck, merge, merge_project, attention, map, neck, output;
};

/// Reads and packs the weights: a network from (1, 3, side, side) to the embedding, (1, channels, 64, 64).
/// ModelError where they are not an EfficientViT that this code computes.
Network load_efficient_vit(const Weights& weights, const EfficientVitPrecision& precision);

}  // namespace medsam::backends::native
