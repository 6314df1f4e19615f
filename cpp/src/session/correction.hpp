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

/// The probability of object of the pixels of a part of a plane, (rows, columns); above 0.5 is the mask.
struct Probability {
  PixelRegion part;
  std::vector<float> values;

  /// Of a pixel of the plane that is in the part.
  [[nodiscard]] const float& at(std::int64_t x, std::int64_t y) const { return values[index(x, y)]; }
  [[nodiscard]] float& at(std::int64_t x, std::int64_t y) { return values[index(x, y)]; }
  [[nodiscard]] std::size_t index(std::int64_t x, std::int64_t y) const {
    return static_cast<std::size_t>((y - part.y0) * part.columns() + x - part.x0);
  }
};

/// The part of a plane that corrections at these pixels read and change. A large image takes no more time for it.
PixelRegion part_round(const PlaneMask& plane, const std::vector<PlanePixel>& pixels);
/// The probability that logits of the pixels of a part stand for.
Probability probability_of(const PixelRegion& part, const std::vector<float>& logits);
/// Makes the probability say what the mask says, changing it as little as possible.
void agree(const PlaneMask& mask, Probability& now);
/// Makes the mask say what the probability says, in its part.
void write(const Probability& now, PlaneMask& mask);

/// How far a click on this pixel reaches: its distance from the nearest pixel of the other kind, 2 to 60.
double reach_of(const Probability& now, std::int64_t x, std::int64_t y);

/// Applies the last of `clicks`, of which the earlier ones keep their pixels. The probability's part is one that
/// part_round() gave for all of them.
void correct(const Pixels& pixels, const Plane& plane, const std::vector<Correction>& clicks, Probability& now);

}  // namespace medsam::session
