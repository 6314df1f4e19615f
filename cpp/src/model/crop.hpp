// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The image inside a prompt's box, as a model's input (docs/bundle.md, "Crops").
#pragma once

#include <cstdint>

#include "embedding/embedding_data.hpp"
#include "image/geometry.hpp"
#include "image/views.hpp"

namespace medsam {

/// A dense copy of an image. InvalidArgument when it is not u8, whose range alone is known to be 0 to 255.
std::shared_ptr<const detail::Pixels> keep_pixels(const CheckedImage& image);

/// Writes the pixels of `box`, a part of the image, as (3, side, side) planar f32 in [0, 1]; gray is repeated.
void crop_input(const detail::Pixels& image, const PixelBox& box, std::int64_t side, float* out);

}  // namespace medsam
