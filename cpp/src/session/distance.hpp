// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Exact Euclidean distances: P. Felzenszwalb, D. Huttenlocher, Distance Transforms of Sampled Functions, Theory of
// Computing 8, 2012.
#pragma once

#include <vector>

#include "session/mask.hpp"

namespace medsam::session {

/// The distance, in pixels, of each pixel from the nearest one whose value is `to` (0 or 1); infinity where there is
/// none. (rows, columns), as the mask.
std::vector<float> distance_to(const PlaneMask& mask, std::uint8_t to);

/// Positive inside the mask, negative outside: the distance from the nearest pixel of the other kind, less a half, so
/// that the edge between two pixels is at 0.
std::vector<float> signed_distance(const PlaneMask& mask);

}  // namespace medsam::session
