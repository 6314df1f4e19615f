// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Prompts, in pixels of the original image: x grows to the right, y downwards, pixel (0, 0) is the top left one.
#pragma once

#include <optional>
#include <vector>

namespace medsam {

/// A click. `label`: 1 = in the object, 0 = outside it, -1 = no point (padding; it has no effect on the result).
struct Point {
  double x = 0;   ///< Column, 0 <= x < W.
  double y = 0;   ///< Row, 0 <= y < H.
  int label = 1;  ///< 1, 0 or -1.
};

/// A box. Its ends are INCLUSIVE pixel indices, as in the MedSAM-on-laptop challenge, so x0 == x1 is a box one pixel
/// wide. An end equal to the image's size (x1 == W or y1 == H) is clamped to the last index. Reversed (x1 < x0),
/// non-finite or further outside is InvalidArgument.
struct Box {
  double x0 = 0, y0 = 0, x1 = 0, y1 = 0;
};

/// One object to segment: a box, points, or both; optionally a mask to start from. At least one of them.
struct Prompt {
  std::optional<Box> box;
  std::vector<Point> points;
  /// Low-resolution logits (h, w) row-major f32 as in Prediction::low_res_logits, of an earlier prediction on the same
  /// image; nullptr = none. Borrowed for the call. In one call every prompt has a mask or none has (InvalidArgument).
  const float* mask_input = nullptr;
};

}  // namespace medsam
