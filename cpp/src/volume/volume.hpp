// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Volume propagation: every object starts at its middle slice and goes both ways, by the rules of a profile.
//
// The work is laid out by slice, not by object: an upward sweep over all slices above the middles, then a downward one.
// So all objects that pass through a slice share its embedding and a batch of the decoder, and an embedding has to be
// kept only when the downward sweep comes by again. The next slice is encoded while this one is decoded.
#pragma once

#include <functional>
#include <vector>

#include "bundle/profile.hpp"
#include "medsam/embedding.hpp"
#include "medsam/volume.hpp"
#include "model/model.hpp"
#include "volume/propagation.hpp"

namespace medsam {

/// Encodes slice z; `again` says that the slice will be asked for once more. Called from another thread, one call at a
/// time.
using EncodeSlice = std::function<ImageEmbedding(std::int64_t z, bool again)>;

/// Segments checked boxes of a checked volume, whose slices `model` encodes, into a checked, cleared label volume.
std::vector<VolumeStats> propagate(const VolumeView& volume, const std::vector<Box3D>& boxes, const Profile& profile,
                                   const EncodeSlice& encode, Model& model, const LabelVolumeView& out,
                                   const VolumeOptions& options);

}  // namespace medsam
