// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A 3D box, its slices, and where the model is asked on each of them. Pure functions.
#pragma once

#include <cstdint>

#include "bundle/profile.hpp"
#include "image/geometry.hpp"
#include "medsam/volume.hpp"

namespace medsam {

/// The slices of one object: from the middle up to high, and from the middle - 1 down to low. Nothing is to be done
/// when low > high; then low is the middle, so that neither direction has a slice.
struct SliceRange {
  std::int64_t middle = 0;
  std::int64_t low = 0, high = 0;  // inclusive
};

/// The box itself; InvalidArgument naming box `index` when it is not one in the volume. z1 may be the depth: profiles
/// of half-open ranges reach the last slice that way.
Box3D checked_box3d(const Box3D& box, std::int64_t depth, std::int64_t height, std::int64_t width, std::int64_t index);

/// Which slices the profile does for a checked box. The middle is int((z1 - z0) / 2 + z0), as every published script
/// has it for whole numbers.
SliceRange slice_range(const Box3D& box, std::int64_t depth, ZRange rule);

/// A box as the decoder takes it.
struct PromptBox {
  float corners[4] = {0, 0, 0, 0};  // x0, y0, x1, y1 in the prompt frame
  PixelBox crop_box;                // the pixels of the image that a decoder may look at
};

/// The user's box.
PromptBox user_prompt_box(const ImageGeometry& geometry, const Box& box, BoxRounding rounding);

}  // namespace medsam
