// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The rules by which a profile propagates an object from slice to slice, as pure functions. docs/profiles.md cites the
// published script for each setting.
#pragma once

#include "bundle/profile.hpp"
#include "image/geometry.hpp"
#include "volume/slice_boxes.hpp"

namespace medsam {

/// The box for the next slice from this slice's mask: labels of the image's size, rows dense, u16 where the rules work
/// on u16 label maps and u8 elsewhere, 0 where the object is not; `stats` describes it. False when there is nothing to
/// go by: an empty mask, or one that vanishes at the rule's resolution. BackendError when the mask is of another size.
bool next_prompt_box(const ImageGeometry& geometry, const VolumeRules& rules, BoxRounding rounding,
                     const LabelView& mask, const MaskStats& stats, PromptBox& next);

}  // namespace medsam
