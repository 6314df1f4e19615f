// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Masks into and out of the label maps and volumes of callers.
#pragma once

#include <cstdint>

#include "medsam/session.hpp"
#include "session/mask.hpp"

namespace medsam::session {

/// Sets every label of a checked view to 0.
void clear(const LabelVolumeView& out);
/// Writes `label` where the mask is set in `box`, which lies in the volume; `out` is checked, has the box's size, and
/// keeps what it has elsewhere.
void write_mask(const Mask& mask, const VoxelBox& box, const LabelVolumeView& out, std::uint32_t label);
/// Writes 1 where the plane's mask is set and 0 elsewhere; `out` is checked and has its size.
void write_plane(const PlaneMask& mask, const LabelView& out);
/// A checked view's slice z, 1 where it is not 0.
PlaneMask read_slice(const LabelVolumeView& from, std::int64_t z);

}  // namespace medsam::session
