// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Corrections: near a click, the probability of object becomes that of a random walk on the image, drawn towards what
// was known before and to pixels that look like the click's. docs/interaction.md has the rules' figures.
#pragma once

#include <cstdint>
#include <vector>

#include "session/mask.hpp"
#include "session/plane_image.hpp"

namespace medsam::session {

/// A click that corrects, with the distance over which it says something.
struct Correction {
  std::int64_t x = 0, y = 0;  // pixel of the plane
  bool positive = true;
  double radius = 2;  // pixels
};

/// The probability of object of each pixel of a plane, (rows, columns); above 0.5 is the mask.
struct Probability {
  std::int64_t rows = 0, columns = 0;
  std::vector<float> values;
  [[nodiscard]] float at(std::int64_t x, std::int64_t y) const {
    return values[static_cast<std::size_t>(y * columns + x)];
  }
};

/// The probability that logits of a plane's own pixels stand for.
Probability probability_of(const PlaneMask& plane, const std::vector<float>& logits);
/// Makes the probability say what the mask says, changing it as little as possible.
void agree(const PlaneMask& mask, Probability& now);
/// The mask that it is.
PlaneMask mask_of(const Probability& now);

/// How far a click on this pixel reaches: its distance from the nearest pixel of the other kind, 2 to 60.
double reach_of(const Probability& now, std::int64_t x, std::int64_t y);

/// Applies the last of `clicks`, of which the earlier ones keep their pixels.
void correct(const Pixels& pixels, const Plane& plane, const std::vector<Correction>& clicks, Probability& now);

}  // namespace medsam::session
