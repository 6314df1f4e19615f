// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "session/mask_views.hpp"

#include <algorithm>

#include "image/views.hpp"

namespace medsam::session {

namespace {

/// Calls visit with a value of the labels' type.
template <class Visit>
void with_label_type(LabelType type, Visit&& visit) {
  switch (type) {
    case LabelType::u8:
      return visit(std::uint8_t{});
    case LabelType::u16:
      return visit(std::uint16_t{});
    case LabelType::u32:
      return visit(std::uint32_t{});
  }
}

template <class T>
T* row_of(const LabelView& view, std::int64_t y) {
  return reinterpret_cast<T*>(static_cast<char*>(view.data) + y * view.row_stride);
}

}  // namespace

void clear(const LabelVolumeView& out) {
  for (std::int64_t z = 0; z < out.depth; ++z) clear_labels(slice_of(out, z));
}

void write_mask(const Mask& mask, const VoxelBox& box, const LabelVolumeView& out, std::uint32_t label) {
  with_label_type(out.type, [&](auto type) {
    using T = decltype(type);
    mask.for_each_run(box.z0, box.z1, [&](std::int64_t z, std::int64_t y, std::int64_t x0, std::int64_t x1) {
      const std::int64_t from = std::max(x0, box.x0), to = std::min(x1, box.x1 + 1);
      if (y < box.y0 || y > box.y1 || from >= to) return;
      T* row = row_of<T>(slice_of(out, z - box.z0), y - box.y0);
      std::fill(row + (from - box.x0), row + (to - box.x0), static_cast<T>(label));
    });
  });
}

void write_plane(const PlaneMask& mask, const LabelView& out) {
  with_label_type(out.type, [&](auto type) {
    using T = decltype(type);
    for (std::int64_t y = 0; y < mask.rows; ++y) {
      std::transform(mask.row(y), mask.row(y) + mask.columns, row_of<T>(out, y),
                     [](std::uint8_t set) { return static_cast<T>(set != 0 ? 1 : 0); });
    }
  });
}

PlaneMask read_slice(const LabelVolumeView& from, std::int64_t z) {
  PlaneMask values(from.height, from.width);
  with_label_type(from.type, [&](auto type) {
    using T = decltype(type);
    for (std::int64_t y = 0; y < from.height; ++y) {
      const T* row = row_of<T>(slice_of(from, z), y);
      std::transform(row, row + from.width, values.row(y),
                     [](T label) { return static_cast<std::uint8_t>(label != 0 ? 1 : 0); });
    }
  });
  return values;
}

}  // namespace medsam::session
