// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The mask of a box that was answered twice: from the whole image and from a window, a part of it.
#pragma once

#include "image/geometry.hpp"
#include "model/prediction.hpp"
#include "model/upsampled_logits.hpp"

namespace medsam {

/// Writes 1 into a cleared u8 view of the image's size. In the window: where the mean of both logits, each upsampled to
/// the image's pixels and clipped to +-limit, is above 0. Elsewhere: where those of the whole image are.
MaskStats write_zoomed_mask(const ShownLogits& image, const ShownLogits& window, const PixelBox& part,
                            const MaskRules& rules, float limit, const LabelView& out);

}  // namespace medsam
