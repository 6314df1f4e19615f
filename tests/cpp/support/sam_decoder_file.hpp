// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Weights files of a native decoder, written apart from tools/medsam_engine_tools/export.
#pragma once

#include <cstdint>

#include "support/tiny_vit_file.hpp"

namespace medsam::testing {

/// A decoder of SAM's sizes on a grid x grid embedding of 256 channels, in a frame of 4 * grid pixels with a shift of
/// 0.5: 16 MB. With the layers for a mask_input unless `masks` is false.
TinyVitFile sam_decoder_file(std::int64_t grid = 16, bool masks = true);

}  // namespace medsam::testing
