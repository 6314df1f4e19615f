// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "volume/volume_labels.hpp"

#include <algorithm>

#include "image/overlap.hpp"
#include "image/views.hpp"

namespace medsam {

SliceMask::SliceMask(std::int64_t height, std::int64_t width, LabelType type)
    : height_(height), width_(width), type_(type), values_(static_cast<std::size_t>(height * width * bytes_each())) {}

VolumeLabels::VolumeLabels(const LabelVolumeView& out, const std::vector<Box3D>& boxes, Overlap overlap)
    : out_(out), stats_(boxes.size()), iou_sums_(boxes.size()) {
  std::vector<double> sizes;
  sizes.reserve(boxes.size());
  for (const Box3D& b : boxes) sizes.push_back((b.x1 - b.x0 + 1) * (b.y1 - b.y0 + 1) * (b.z1 - b.z0 + 1));
  ranks_ = ranks_of(paint_order(sizes, overlap));
}

void VolumeLabels::add(std::size_t object, std::int64_t z, const LabelView& mask, const MaskStats& stats) {
  if (stats.area == 0) return;
  count(object, z, stats);
  paint_by_rank(mask, stats, slice_of(out_, z), static_cast<std::uint32_t>(object + 1), ranks_);
}

void VolumeLabels::count(std::size_t object, std::int64_t z, const MaskStats& slice) {
  VolumeStats& total = stats_[object];
  if (total.voxels == 0) total = {0, slice.x0, slice.y0, z, slice.x1, slice.y1, z, 0};
  total.voxels += slice.area;
  total.x0 = std::min(total.x0, slice.x0);
  total.y0 = std::min(total.y0, slice.y0);
  total.z0 = std::min(total.z0, z);
  total.x1 = std::max(total.x1, slice.x1);
  total.y1 = std::max(total.y1, slice.y1);
  total.z1 = std::max(total.z1, z);
  iou_sums_[object] += static_cast<double>(slice.iou) * static_cast<double>(slice.area);
  total.iou = static_cast<float>(iou_sums_[object] / static_cast<double>(total.voxels));
}

}  // namespace medsam
