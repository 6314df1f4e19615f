// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "model/zoomed_mask.hpp"

#include <algorithm>

#include "model/upsampled_logits.hpp"

namespace medsam {

namespace {

/// The size and the bounding box of what is set in rows of pixels.
class Bounds {
 public:
  void add(const std::uint8_t* row, std::int64_t y, std::int64_t first, std::int64_t end) {
    for (std::int64_t x = first; x < end; ++x) {
      if (row[x] == 0) continue;
      if (stats_.area == 0) stats_ = {0, x, y, x, y, 0};
      ++stats_.area;
      stats_.x0 = std::min(stats_.x0, x);
      stats_.x1 = std::max(stats_.x1, x);
      stats_.y1 = y;
    }
  }
  [[nodiscard]] const MaskStats& stats() const { return stats_; }

 private:
  MaskStats stats_{0, 0, 0, -1, -1, 0};
};

}  // namespace

MaskStats write_zoomed_mask(const ShownLogits& image, const ShownLogits& window, const PixelBox& part,
                            const MaskRules& rules, float limit, const LabelView& out) {
  const MaskStats whole = write_label(image.logits, image.geometry, rules, out, 1);
  UpsampledLogits far(image), near(window);
  for (std::int64_t y = part.y0; y < part.y1; ++y) {
    auto* row = static_cast<std::uint8_t*>(out.data) + y * out.row_stride;
    far.set_row(y);
    near.set_row(y - part.y0);
    const auto clipped = [&](float v) { return std::clamp(v, -limit, limit); };
    if (clipped(far.greatest()) + clipped(near.greatest()) <= 0) {  // no column's sum is more
      std::fill(row + part.x0, row + part.x1, std::uint8_t{0});
      continue;
    }
    for (std::int64_t x = part.x0; x < part.x1; ++x) {
      row[x] = clipped(far.at(x)) + clipped(near.at(x - part.x0)) > 0 ? 1 : 0;
    }
  }
  PixelBox reach = part;
  if (whole.area > 0) {
    reach = {std::min(part.x0, whole.x0), std::min(part.y0, whole.y0), std::max(part.x1, whole.x1 + 1),
             std::max(part.y1, whole.y1 + 1)};
  }
  Bounds bounds;
  for (std::int64_t y = reach.y0; y < reach.y1; ++y) {
    bounds.add(static_cast<const std::uint8_t*>(out.data) + y * out.row_stride, y, reach.x0, reach.x1);
  }
  return bounds.stats();
}

}  // namespace medsam
