// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The mask of a box that was answered twice: from the whole image and from a window, a part of it.
#pragma once

#include "image/geometry.hpp"
#include "model/prediction.hpp"

namespace medsam {

/// One box's logits and the geometry of what they show.
struct ShownLogits {
  const LogitMap& logits;
  const ImageGeometry& geometry;
};

/// Writes 1 into a cleared u8 view of the image's size. In the window: where the mean of both logits, each upsampled to
/// the image's pixels and clipped to +-limit, is above 0. Elsewhere: where those of the whole image are.
MaskStats write_zoomed_mask(const ShownLogits& image, const ShownLogits& window, const PixelBox& part,
                            const MaskRules& rules, float limit, const LabelView& out);

/// Writes `label` where `mask`, a dense u8 view of stats.area pixels, has a value and `out` a label of a lower rank,
/// and clears `mask`. ranks[0] is the background's.
void paint_by_rank(const LabelView& mask, const MaskStats& stats, const LabelView& out, std::uint32_t label,
                   const std::vector<std::uint32_t>& ranks);

}  // namespace medsam
