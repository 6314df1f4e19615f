// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// VolumePlanes::three: every object is segmented by sections along each of the three axes, and the logits are fused.
// For volumes whose voxels are nearly cubes. docs/profiles.md has the rule and the figures.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "bundle/profile.hpp"
#include "image/encoded_plane.hpp"
#include "medsam/embedding.hpp"
#include "medsam/volume.hpp"
#include "model/model.hpp"

namespace medsam {

/// InvalidArgument unless a checked volume's spacing and size, and the profile, are such that three planes are asked.
void check_three_planes(const VolumeView& volume, const Profile& profile, const VolumeOptions& options);

/// Encodes plane `index` along `axis` in that size; `again` says that it will be asked for once more. Called from
/// another thread, one call at a time.
using EncodePlane = std::function<ImageEmbedding(int axis, std::int64_t index, const EncodedSize& size, bool again)>;

/// As follow_objects, of what check_three_planes let pass.
std::vector<VolumeStats> follow_in_three_planes(const VolumeView& volume, const std::vector<Box3D>& boxes,
                                                const Profile& profile, const EncodePlane& encode, Model& model,
                                                const LabelVolumeView& out, const VolumeOptions& options);

}  // namespace medsam
