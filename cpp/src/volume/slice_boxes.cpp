// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "volume/slice_boxes.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "medsam/error.hpp"

namespace medsam {

namespace {

bool whole(double v) { return v == std::floor(v); }

}  // namespace

Box3D checked_box3d(const Box3D& box, std::int64_t depth, std::int64_t height, std::int64_t width, std::int64_t index) {
  const std::string name = box_text(index, {box.x0, box.y0, box.z0, box.x1, box.y1, box.z1});
  checked_box({box.x0, box.y0, box.x1, box.y1}, height, width, name);
  if (!std::isfinite(box.z0) || !std::isfinite(box.z1) || !whole(box.z0) || !whole(box.z1)) {
    throw InvalidArgument(name + ", expected whole slice numbers");
  }
  if (box.z1 < box.z0) throw InvalidArgument(name + ", which is reversed; expected z0 <= z1");
  const auto d = static_cast<double>(depth);
  if (box.z0 < 0 || box.z0 > d - 1 || box.z1 > d) {
    throw InvalidArgument(name + ", outside the volume of " + std::to_string(depth) +
                          " slices; expected inclusive slice numbers, 0 <= z <= " + std::to_string(depth - 1));
  }
  return box;
}

SliceRange slice_range(const Box3D& box, std::int64_t depth, ZRange rule) {
  const auto z0 = static_cast<std::int64_t>(box.z0);
  const auto z1 = static_cast<std::int64_t>(box.z1);
  SliceRange range;
  range.middle = z0 + (z1 - z0) / 2;
  range.low = rule == ZRange::open ? std::min(range.middle, z0 + 1) : z0;
  // An end of D is where half-open scripts reach the last slice.
  range.high = rule == ZRange::closed ? std::min(z1, depth - 1) : z1 - 1;
  // Nothing to start from: then there is no slice below the middle either.
  if (range.high < range.middle) range = {range.middle, range.middle, range.middle - 1};
  return range;
}

PromptBox user_prompt_box(const ImageGeometry& geometry, const Box& box, BoxRounding rounding) {
  PromptBox prompt;
  map_box(geometry, box, rounding, prompt.corners);
  prompt.crop_box = pixel_box(box);
  return prompt;
}

}  // namespace medsam
