// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// An object from boxes on a few planes: on the others the model is asked with sections of the solid that the boxes
// span, and its logits are fused and smoothed from plane to plane, as a volume's are (volume/sections.hpp,
// volume/fused_logits.hpp). docs/interaction.md has the figures.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "bundle/profile.hpp"
#include "session/answers.hpp"
#include "session/rated_frame.hpp"

namespace medsam::session {

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

/// The rules of a profile that has any, else those of `clinical`: a published script's volume rules say nothing about
/// an object of which one slice is known.
SectionRules section_rules(const VolumeRules& rules);

/// Calls `take` with the mask of each plane of `span`, those nearest to a key first, until it returns false. `before`
/// is called before each plane is asked about; it may throw.
void section_masks(const PlaneModel& model, const Grid& grid, const KeyBoxes& keys, const PlaneSpan& span,
                   const SectionRules& rules, const std::function<void()>& before,
                   const std::function<bool(std::int64_t index, const PlaneMask& mask)>& take);

}  // namespace medsam::session
