// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Pixels to the encoder's input tensor: the fused kernel, driven by a profile's image rules.
#pragma once

#include "backends/backend.hpp"
#include "bundle/profile.hpp"
#include "image/geometry.hpp"
#include "image/views.hpp"

namespace medsam {

/// Resizes, normalizes and pads an image into input 0 of an encoder's request, (1, 3, S, S): on its device where
/// that has the kernel, else here. InvalidArgument when f32 pixels are not finite, now or in run().
void preprocess(const CheckedImage& image, const ImageGeometry& geometry, const ImageRules& rules,
                backends::Request& request);

}  // namespace medsam
