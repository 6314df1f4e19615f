// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// An object from boxes on a few planes: on the others the model is asked with sections of the solid that the boxes
// span, and its logits are fused and smoothed from plane to plane. docs/interaction.md has the rules' figures.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "session/answers.hpp"
#include "session/rated_frame.hpp"

namespace medsam::session {

/// Planes: of the Gaussian of sigma 1 along the axis.
inline constexpr std::int64_t kSmoothingRadius = 3;

/// Planes first to last of an axis.
struct PlaneSpan {
  std::int64_t first = 0, last = -1;
};

/// How far an object reaches beyond a box on one plane, in planes: 0.7 times the box's shorter side in mm, and half a
/// plane.
double reach_beyond(const Grid& grid, int axis, const Box& box);

/// Boxes on some planes of an axis, and how far the object goes beyond the outermost ones (planes, at least 0.5).
/// Beyond them, a box shrinks as a section of a superellipsoid does; between two of them it is interpolated.
struct KeyBoxes {
  int axis = 0;
  std::map<std::int64_t, Box> boxes;  // at least one
  double below = 0.5, above = 0.5;

  [[nodiscard]] PlaneSpan span(const Grid& grid) const;
};

/// Calls `take` with the mask of each plane of `span`, those nearest to a key first, until it returns false. `before`
/// is called before each plane is asked about; it may throw.
void section_masks(const PlaneModel& model, const Grid& grid, const KeyBoxes& keys, const PlaneSpan& span,
                   const std::function<void()>& before,
                   const std::function<bool(std::int64_t index, const PlaneMask& mask)>& take);

}  // namespace medsam::session
