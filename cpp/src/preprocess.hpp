// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Pixels to the encoder's input tensor: the fused kernel, driven by a profile's image rules.
#pragma once

#include "geometry.hpp"
#include "kernels/kernels.hpp"
#include "medsam/image.hpp"
#include "profile.hpp"

namespace medsam {

/// Resizes, normalises and pads a checked image into `out`, (3, S, S) planar f32. InvalidArgument when f32 pixels are
/// not finite.
void preprocess(const ImageView& image, const ImageGeometry& geometry, const ImageRules& rules, float* out);

}  // namespace medsam
