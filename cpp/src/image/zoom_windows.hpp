// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Which boxes of an image are encoded again in a window, a part of the image, and in which (docs/profiles.md, "zoom").
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "image/geometry.hpp"

namespace medsam {

/// A part of the image and the boxes that it serves, by their places in the call, ascending.
struct ZoomWindow {
  PixelBox part;
  std::vector<std::size_t> boxes;
};

/// The windows of checked boxes, at least one box each. A box that has none is too large, or no window serves it where
/// even the largest windows would be too many. The largest boxes come first: each takes the smallest window that serves
/// it, or gets one of its own. Where that makes more windows than the rules allow, it is done again with a larger least
/// side of windows, until they suffice. Which boxes share a window depends neither on the order of the boxes nor on
/// boxes that are too large for one.
std::vector<ZoomWindow> zoom_windows(const ZoomRules& rules, std::int64_t height, std::int64_t width,
                                     const std::vector<Box>& boxes);

}  // namespace medsam
