// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "volume/volume_labels.hpp"

#include <algorithm>
#include <string>

#include "image/views.hpp"
#include "medsam/error.hpp"

namespace medsam {

namespace {

// A voxel goes to the object of the higher rank. ranks[0] is background's, the lowest.
template <class T, class M>
void merge_rows(const LabelView& out, const M* mask, const MaskStats& stats, std::uint32_t label,
                const std::vector<std::uint32_t>& ranks) {
  const auto value = static_cast<T>(label);
  const std::uint32_t rank = ranks[label];
  for (std::int64_t y = stats.y0; y <= stats.y1; ++y) {
    T* row = reinterpret_cast<T*>(static_cast<char*>(out.data) + y * out.row_stride);
    const M* from = mask + y * out.width;
    for (std::int64_t x = stats.x0; x <= stats.x1; ++x) {
      if (from[x] != 0 && ranks[row[x]] < rank) row[x] = value;
    }
  }
}

template <class M>
void merge(const LabelView& out, const M* mask, const MaskStats& stats, std::uint32_t label,
           const std::vector<std::uint32_t>& ranks) {
  switch (out.type) {
    case LabelType::u8:
      return merge_rows<std::uint8_t>(out, mask, stats, label, ranks);
    case LabelType::u16:
      return merge_rows<std::uint16_t>(out, mask, stats, label, ranks);
    case LabelType::u32:
      return merge_rows<std::uint32_t>(out, mask, stats, label, ranks);
  }
}

}  // namespace

SliceMask::SliceMask(std::int64_t height, std::int64_t width, LabelType type)
    : height_(height), width_(width), type_(type), values_(static_cast<std::size_t>(height * width * bytes_each())) {}

void SliceMask::check_fits(const ImageGeometry& geometry, std::int64_t z) const {
  if (geometry.height == height_ && geometry.width == width_) return;
  throw ModelError("volume: slice " + std::to_string(z) + " got the embedding of an image of " +
                   std::to_string(geometry.height) + " x " + std::to_string(geometry.width) +
                   ", expected one of its own size; clear the embedding cache and store");
}

VolumeLabels::VolumeLabels(const LabelVolumeView& out, const std::vector<Box3D>& boxes, Overlap overlap)
    : out_(out), ranks_(boxes.size() + 1), stats_(boxes.size()), iou_sums_(boxes.size()) {
  std::vector<double> sizes;
  sizes.reserve(boxes.size());
  for (const Box3D& b : boxes) sizes.push_back((b.x1 - b.x0 + 1) * (b.y1 - b.y0 + 1) * (b.z1 - b.z0 + 1));
  std::uint32_t rank = 0;
  for (const std::size_t i : paint_order(sizes, overlap)) ranks_[i + 1] = ++rank;
}

void VolumeLabels::add(std::size_t object, std::int64_t z, const LabelView& mask, const MaskStats& stats) {
  if (stats.area == 0) return;
  count(object, z, stats);
  const LabelView slice = slice_of(out_, z);
  const auto label = static_cast<std::uint32_t>(object + 1);
  if (mask.type == LabelType::u16) {
    merge(slice, static_cast<const std::uint16_t*>(mask.data), stats, label, ranks_);
  } else {
    merge(slice, static_cast<const std::uint8_t*>(mask.data), stats, label, ranks_);
  }
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
