// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Weights files of an EfficientViT, good and bad, written apart from
// tools/medsam_engine_tools/export/native/efficient_vit.py; tiny_vit_file.hpp runs them.
#pragma once

#include "support/tiny_vit_file.hpp"

namespace medsam::testing {

/// The sizes of an EfficientViT of four stages: residual convolutions; fused, inverted and attention blocks.
struct EfficientVitSizes {
  std::int64_t input = 64, stem = 32, fused = 64, hidden = 64, inverted = 32, attention = 32, taps = 25, neck = 64,
               output = 32;
};

TinyVitFile efficient_vit_file(const EfficientVitSizes& sizes = {});

}  // namespace medsam::testing
