// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Points and a scribble drawn in a box, for models that were trained to be asked with them (docs/bundle.md,
// prompt.from_box = points_and_scribble; docs/families/swin_litemedsam.md).
#pragma once

#include <array>
#include <cstdint>

namespace medsam {

/// The number of points that `sample_box` draws; all have label 1, foreground.
inline constexpr std::int64_t kSampledPoints = 4;

/// Draws four points and a scribble in a box, as RuochenGao/Swin_LiteMedSAM:infer.py does in distribution
/// (get_points_256, get_scribble_256).
///
/// corners: x0, y0, x1, y1 in the model's frame, pixels, whole or not; what is outside [0, side] is clamped.
/// foreground: (side, side), row-major, above 0 where the model's input is. scribble: (side, side), written whole: 1 on
/// the stroke, 0 elsewhere; all 0 where none could be drawn. Returns the points as x, y, one in each quadrant of the
/// box: top left, bottom left, bottom right, top right; a quadrant without foreground gives the box's center.
///
/// The random numbers depend on the corners alone, and all arithmetic on them is on integers: a box gets the same
/// prompts on every platform, whatever other boxes there are and in whatever order.
std::array<float, 2 * kSampledPoints> sample_box(const float corners[4], const float* foreground, std::int64_t side,
                                                 float* scribble);

}  // namespace medsam
