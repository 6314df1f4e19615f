// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Bilinear resize with antialiasing as Pillow does it, PIL.Image.resize(size, BILINEAR), which is torchvision's Resize
// of a PIL image. Every table calls this one implementation, so all give the same bits.
#pragma once

#include "kernels/base/carver.hpp"
#include "kernels/pixels/pixel_kernels.hpp"

namespace medsam::kernels {

/// The resized image to normalize, (new_height, new_width, channels) dense, with all its memory in `scratch`; its data
/// is null if scratch only measures. A u8 image stays u8 and equals Pillow's to the bit. u16, i16 and f32 become f32
/// and keep their fraction, as Pillow's mode "F": the published scripts, which are for u8, have no rule for them.
Pixels antialiased_resized(const Pixels& image, const ResizeNormalizeParams& params, Carver& carver) noexcept;

}  // namespace medsam::kernels
