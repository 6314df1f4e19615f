// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "model/zoomed_mask.hpp"

#include <algorithm>
#include <vector>

#include "kernels/pixels/math/pixel_math.hpp"
#include "medsam/error.hpp"

namespace medsam {

namespace {

/// A map of logits, sampled at pixels of what it shows: linear along y into a row, then along x.
class Upsampled {
 public:
  explicit Upsampled(const ShownLogits& shown)
      : size_(unpadded_size(shown.geometry, shown.logits.height, shown.logits.width)),
        scale_y_(static_cast<float>(size_.height) / static_cast<float>(shown.geometry.height)),
        stride_(shown.logits.tensor->shape().at(3)),
        row_(static_cast<std::size_t>(size_.width)) {
    const backends::Shape& shape = shown.logits.tensor->shape();
    if (shape.at(2) < size_.height || shape[3] < size_.width || shown.logits.index >= shape[0] * shape[1]) {
      throw BackendError("mask: got logits of fewer rows or columns than the image takes; report this");
    }
    logits_ = shown.logits.tensor->host() + shown.logits.index * shape[2] * shape[3];
    const float scale_x = static_cast<float>(size_.width) / static_cast<float>(shown.geometry.width);
    taps_.reserve(static_cast<std::size_t>(shown.geometry.width));
    for (std::int64_t x = 0; x < shown.geometry.width; ++x) {
      taps_.push_back(kernels::bilinear_tap(x, scale_x, size_.width));
    }
  }

  void set_row(std::int64_t y) {
    const kernels::BilinearTap tap = kernels::bilinear_tap(y, scale_y_, size_.height);
    const float *top = logits_ + tap.i0 * stride_, *bottom = logits_ + tap.i1 * stride_;
    for (std::size_t i = 0; i < row_.size(); ++i) row_[i] = tap.w0 * top[i] + tap.w1 * bottom[i];
  }
  [[nodiscard]] float greatest() const { return *std::max_element(row_.begin(), row_.end()); }
  [[nodiscard]] float at(std::int64_t x) const {
    const kernels::BilinearTap& tap = taps_[static_cast<std::size_t>(x)];
    return tap.w0 * row_[static_cast<std::size_t>(tap.i0)] + tap.w1 * row_[static_cast<std::size_t>(tap.i1)];
  }

 private:
  UnpaddedSize size_;
  float scale_y_;
  std::int64_t stride_;
  const float* logits_ = nullptr;
  std::vector<float> row_;
  std::vector<kernels::BilinearTap> taps_;  // by column
};

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

template <class T>
void paint(const LabelView& mask, const MaskStats& stats, const LabelView& out, std::uint32_t label,
           const std::vector<std::uint32_t>& ranks) {
  for (std::int64_t y = stats.y0; y <= stats.y1; ++y) {
    auto* from = static_cast<std::uint8_t*>(mask.data) + y * mask.row_stride;
    T* to = reinterpret_cast<T*>(static_cast<char*>(out.data) + y * out.row_stride);
    for (std::int64_t x = stats.x0; x <= stats.x1; ++x) {
      if (from[x] != 0 && ranks[to[x]] < ranks[label]) to[x] = static_cast<T>(label);
      from[x] = 0;
    }
  }
}

}  // namespace

MaskStats write_zoomed_mask(const ShownLogits& image, const ShownLogits& window, const PixelBox& part,
                            const MaskRules& rules, float limit, const LabelView& out) {
  const MaskStats whole = write_label(image.logits, image.geometry, rules, out, 1);
  Upsampled far(image), near(window);
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

void paint_by_rank(const LabelView& mask, const MaskStats& stats, const LabelView& out, std::uint32_t label,
                   const std::vector<std::uint32_t>& ranks) {
  switch (out.type) {
    case LabelType::u8:
      return paint<std::uint8_t>(mask, stats, out, label, ranks);
    case LabelType::u16:
      return paint<std::uint16_t>(mask, stats, out, label, ranks);
    case LabelType::u32:
      return paint<std::uint32_t>(mask, stats, out, label, ranks);
  }
}

}  // namespace medsam
