// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Volumes: objects are followed through the slices by the rules of a profile. The next slice is encoded while this one
// is decoded.
#pragma once

#include <vector>

#include "bundle/profile.hpp"
#include "medsam/volume.hpp"
#include "volume/followed_objects.hpp"

namespace medsam {

/// Segments checked boxes of a checked volume, whose slices `model` encodes, into a checked, cleared label volume.
std::vector<VolumeStats> follow_objects(const VolumeView& volume, const std::vector<Box3D>& boxes,
                                        const Profile& profile, const EncodeSlice& encode, Model& model,
                                        const LabelVolumeView& out, const VolumeOptions& options);

}  // namespace medsam
