// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "session/mask.hpp"

#include <algorithm>
#include <bit>

namespace medsam::session {

namespace {

/// The bounding box of the pixels in which two planes of one size differ, as voxels.
VoxelBox changed_pixels(const Plane& plane, std::int64_t rows, std::int64_t columns, const std::uint8_t* a,
                        const std::uint8_t* b) {
  std::int64_t x0 = columns, y0 = rows, x1 = -1, y1 = -1;
  for (std::int64_t y = 0; y < rows; ++y) {
    if (std::equal(a + y * columns, a + (y + 1) * columns, b + y * columns)) continue;
    for (std::int64_t x = 0; x < columns; ++x) {
      const std::int64_t i = y * columns + x;
      if ((a[i] != 0) == (b[i] != 0)) continue;
      x0 = std::min(x0, x);
      x1 = std::max(x1, x);
      y0 = std::min(y0, y);
      y1 = std::max(y1, y);
    }
  }
  return voxels_of(plane, x0, y0, x1, y1);
}

}  // namespace

std::int64_t PlaneMask::area() const { return std::count(values.begin(), values.end(), 1); }

bool PlaneMask::any() const { return std::find(values.begin(), values.end(), 1) != values.end(); }

std::optional<Box> PlaneMask::bounds() const {
  std::int64_t x0 = columns, y0 = rows, x1 = -1, y1 = -1;
  for (std::int64_t y = 0; y < rows; ++y) {
    const std::uint8_t* first = std::find(row(y), row(y) + columns, std::uint8_t{1});
    if (first == row(y) + columns) continue;
    std::int64_t last = columns - 1;
    while (at(last, y) == 0) --last;
    x0 = std::min<std::int64_t>(x0, first - row(y));
    x1 = std::max(x1, last);
    y0 = std::min(y0, y);
    y1 = y;
  }
  if (x1 < 0) return std::nullopt;
  return Box{static_cast<double>(x0), static_cast<double>(y0), static_cast<double>(x1), static_cast<double>(y1)};
}

Mask::Mask(const Grid& grid)
    : grid_(grid), words_((grid.width() + 63) / 64), slices_(static_cast<std::size_t>(grid.depth())) {}

std::int64_t Mask::next(const std::uint64_t* row, std::int64_t from, bool set) const {
  const std::uint64_t flip = set ? 0 : ~std::uint64_t{0};
  for (std::int64_t w = from / 64; w < words_; ++w) {
    std::uint64_t word = row[w] ^ flip;
    if (w == from / 64) word &= ~std::uint64_t{0} << (from % 64);
    if (word != 0) return std::min(w * 64 + std::countr_zero(word), grid_.width());
  }
  return grid_.width();
}

std::vector<std::uint8_t> Mask::unpacked(std::int64_t z) const {
  std::vector<std::uint8_t> values(static_cast<std::size_t>(grid_.height() * grid_.width()));
  const SlicePtr& slice = slices_[static_cast<std::size_t>(z)];
  if (!slice) return values;
  for (std::int64_t y = slice->first_row; y < slice->first_row + slice->row_count; ++y) {
    const std::uint64_t* row = slice->row(y, words_);
    std::uint8_t* out = values.data() + y * grid_.width();
    std::int64_t x = 0;
    while ((x = next(row, x, true)) < grid_.width()) {
      const std::int64_t end = next(row, x, false);
      std::fill(out + x, out + end, std::uint8_t{1});
      x = end;
    }
  }
  return values;
}

Mask::SlicePtr Mask::packed(const std::vector<std::uint8_t>& values) const {
  const std::int64_t width = grid_.width();
  const auto row_set = [&](std::int64_t y) {
    const auto* row = values.data() + y * width;
    return std::any_of(row, row + width, [](std::uint8_t v) { return v != 0; });
  };
  std::int64_t first = 0, end = grid_.height();
  while (first < end && !row_set(first)) ++first;
  while (end > first && !row_set(end - 1)) --end;
  if (first == end) return nullptr;
  auto slice = std::make_shared<Slice>();
  slice->first_row = first;
  slice->row_count = end - first;
  slice->bits.resize(static_cast<std::size_t>(slice->row_count * words_));
  for (std::int64_t y = first; y < end; ++y) {
    const std::uint8_t* row = values.data() + y * width;
    std::uint64_t* bits = slice->bits.data() + (y - first) * words_;
    for (std::int64_t x = 0; x < width; ++x) bits[x / 64] |= std::uint64_t{row[x] != 0} << (x % 64);
  }
  return slice;
}

std::uint8_t Mask::bit(const SlicePtr& slice, std::int64_t y, std::int64_t x) const {
  if (!slice || y < slice->first_row || y >= slice->first_row + slice->row_count) return 0;
  return static_cast<std::uint8_t>(slice->row(y, words_)[x / 64] >> (x % 64) & 1);
}

PlaneMask Mask::pixels(const Plane& plane) const {
  PlaneMask out(grid_, plane.axis);
  if (plane.axis == 0) {
    out.values = unpacked(plane.index);
    return out;
  }
  for (std::int64_t z = 0; z < grid_.depth(); ++z) {
    const SlicePtr& slice = slices_[static_cast<std::size_t>(z)];
    if (!slice) continue;
    for (std::int64_t c = 0; c < out.columns; ++c) {
      out.row(z)[c] = plane.axis == 1 ? bit(slice, plane.index, c) : bit(slice, c, plane.index);
    }
  }
  return out;
}

VoxelBox Mask::set_line(std::int64_t z, const Plane& plane, const std::uint8_t* values) {
  SlicePtr& slice = slices_[static_cast<std::size_t>(z)];
  const std::int64_t count = grid_.columns(plane.axis);
  std::int64_t first = count, last = -1;
  for (std::int64_t c = 0; c < count; ++c) {
    const std::uint8_t before = plane.axis == 1 ? bit(slice, plane.index, c) : bit(slice, c, plane.index);
    if (before == static_cast<std::uint8_t>(values[c] != 0)) continue;
    first = std::min(first, c);
    last = c;
  }
  if (last < 0) return {};
  std::vector<std::uint8_t> all = unpacked(z);
  const std::int64_t step = plane.axis == 1 ? 1 : grid_.width();
  std::uint8_t* line = all.data() + (plane.axis == 1 ? plane.index * grid_.width() : plane.index);
  for (std::int64_t c = first; c <= last; ++c) line[c * step] = static_cast<std::uint8_t>(values[c] != 0);
  slice = packed(all);
  return voxels_of(plane, first, z, last, z);
}

VoxelBox Mask::set_plane(const Plane& plane, const PlaneMask& values) {
  if (plane.axis == 0) {
    const std::vector<std::uint8_t> before = unpacked(plane.index);
    const VoxelBox changed = changed_pixels(plane, grid_.height(), grid_.width(), before.data(), values.values.data());
    if (!changed.empty()) slices_[static_cast<std::size_t>(plane.index)] = packed(values.values);
    return changed;
  }
  VoxelBox changed;
  for (std::int64_t z = 0; z < grid_.depth(); ++z) changed = united(changed, set_line(z, plane, values.row(z)));
  return changed;
}

void Mask::subtract(const Mask& other) {
  for (std::size_t z = 0; z < slices_.size(); ++z) {
    if (!slices_[z] || !other.slices_[z]) continue;
    const auto from = static_cast<std::int64_t>(z);
    std::vector<std::uint8_t> values = unpacked(from);
    const std::vector<std::uint8_t> taken = other.unpacked(from);
    bool changed = false;
    for (std::size_t i = 0; i < values.size(); ++i) {
      changed = changed || (values[i] & taken[i]) != 0;
      values[i] = static_cast<std::uint8_t>(values[i] & (taken[i] ^ 1));
    }
    if (changed) slices_[z] = packed(values);
  }
}

bool Mask::any(const Plane& plane) const {
  if (plane.axis == 0) return slices_[static_cast<std::size_t>(plane.index)] != nullptr;
  return pixels(plane).any();
}

std::int64_t Mask::voxels() const {
  std::int64_t count = 0;
  for (const SlicePtr& slice : slices_) {
    if (!slice) continue;
    for (const std::uint64_t word : slice->bits) count += std::popcount(word);
  }
  return count;
}

VoxelBox Mask::box() const {
  VoxelBox all;
  for_each_run([&](std::int64_t z, std::int64_t y, std::int64_t x0, std::int64_t x1) {
    all = united(all, {x0, y, z, x1 - 1, y, z});
  });
  return all;
}

VoxelBox Mask::difference(const Mask& other) const {
  VoxelBox changed;
  for (std::size_t z = 0; z < slices_.size(); ++z) {
    if (slices_[z] == other.slices_[z]) continue;
    const Plane plane{0, static_cast<std::int64_t>(z)};
    const std::vector<std::uint8_t> a = unpacked(plane.index), b = other.unpacked(plane.index);
    changed = united(changed, changed_pixels(plane, grid_.height(), grid_.width(), a.data(), b.data()));
  }
  return changed;
}

std::uint64_t Mask::bytes_beyond(const Mask& other) const {
  std::uint64_t bytes = 0;
  for (std::size_t z = 0; z < slices_.size(); ++z) {
    const bool shared = z < other.slices_.size() && slices_[z] == other.slices_[z];
    if (slices_[z] && !shared) bytes += sizeof(Slice) + slices_[z]->bits.size() * sizeof(std::uint64_t);
  }
  return bytes;
}

}  // namespace medsam::session
