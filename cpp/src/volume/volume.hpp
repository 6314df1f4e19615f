// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Volumes: objects are followed through the slices by the rules of a profile. The next slice is encoded while this one
// is decoded.
#pragma once

#include <functional>
#include <vector>

#include "bundle/profile.hpp"
#include "medsam/embedding.hpp"
#include "medsam/volume.hpp"
#include "model/model.hpp"

namespace medsam {

/// Encodes slice z; `again` says that the slice will be asked for once more. Called from another thread, one call at a
/// time.
using EncodeSlice = std::function<ImageEmbedding(std::int64_t z, bool again)>;

/// Segments checked boxes of a checked volume, whose slices `model` encodes, into a checked, cleared label volume.
std::vector<VolumeStats> follow_objects(const VolumeView& volume, const std::vector<Box3D>& boxes,
                                        const Profile& profile, const EncodeSlice& encode, Model& model,
                                        const LabelVolumeView& out, const VolumeOptions& options);

}  // namespace medsam
