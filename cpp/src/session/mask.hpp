// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// An object's voxels: one bit each, slices shared between the steps of undo and copied only when they change.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "session/grid.hpp"

namespace medsam::session {

/// The pixels of one plane, dense rows: 1 where set, 0 elsewhere.
struct PlaneMask {
  std::int64_t rows = 0, columns = 0;
  std::vector<std::uint8_t> values;

  PlaneMask() = default;
  PlaneMask(std::int64_t r, std::int64_t c)
      : rows(r), columns(c), values(static_cast<std::size_t>(r) * static_cast<std::size_t>(c)) {}
  PlaneMask(const Grid& grid, int axis) : PlaneMask(grid.rows(axis), grid.columns(axis)) {}
  [[nodiscard]] std::uint8_t* row(std::int64_t y) { return values.data() + y * columns; }
  [[nodiscard]] const std::uint8_t* row(std::int64_t y) const { return values.data() + y * columns; }
  [[nodiscard]] std::uint8_t at(std::int64_t x, std::int64_t y) const {
    return values[static_cast<std::size_t>(y * columns + x)];
  }
  [[nodiscard]] std::int64_t area() const;
  [[nodiscard]] bool any() const;
  /// The box of the set pixels, ends inclusive.
  [[nodiscard]] std::optional<Box> bounds() const;
};

/// Slices of bits along axis 0; a slice without voxels takes no memory. A value: copies share their slices, and what a
/// copy changes is its own. Not to be changed by two threads at once.
class Mask {
 public:
  Mask() = default;
  explicit Mask(const Grid& grid);

  /// The voxels of a plane.
  [[nodiscard]] PlaneMask pixels(const Plane& plane) const;
  /// Makes the voxels of a plane those of `values`, which has its size. Slices that do not change stay shared. Returns
  /// the bounding box of the voxels that changed.
  VoxelBox set_plane(const Plane& plane, const PlaneMask& values);
  /// Removes the voxels that `other` has.
  void subtract(const Mask& other);

  [[nodiscard]] bool any(const Plane& plane) const;
  [[nodiscard]] std::int64_t voxels() const;
  [[nodiscard]] VoxelBox box() const;
  /// The bounding box of the voxels that differ; looks only at slices that are not shared.
  [[nodiscard]] VoxelBox difference(const Mask& other) const;
  /// Bytes that a copy takes by itself.
  [[nodiscard]] std::uint64_t table_bytes() const { return slices_.size() * sizeof(SlicePtr); }
  /// Bytes of the slices that `other` does not share.
  [[nodiscard]] std::uint64_t bytes_beyond(const Mask& other) const;

  /// Calls visit(z, y, x0, x1) for every run of set voxels x0 <= x < x1 of a row of the slices z0 to z1, in the order
  /// of the voxels.
  template <class Visit>
  void for_each_run(std::int64_t z0, std::int64_t z1, Visit&& visit) const {
    for (std::int64_t n = z0; n <= std::min(z1, static_cast<std::int64_t>(slices_.size()) - 1); ++n) {
      const auto z = static_cast<std::size_t>(n);
      if (!slices_[z]) continue;
      for (std::int64_t y = slices_[z]->first_row; y < slices_[z]->first_row + slices_[z]->row_count; ++y) {
        const std::uint64_t* row = slices_[z]->row(y, words_);
        std::int64_t x = 0;
        while ((x = next(row, x, true)) < grid_.width()) {
          const std::int64_t end = next(row, x, false);
          visit(n, y, x, end);
          x = end;
        }
      }
    }
  }
  /// Of all slices.
  template <class Visit>
  void for_each_run(Visit&& visit) const {
    for_each_run(0, static_cast<std::int64_t>(slices_.size()) - 1, std::forward<Visit>(visit));
  }

 private:
  /// Rows first_row to first_row + row_count - 1, which hold all voxels of the slice.
  struct Slice {
    std::int64_t first_row = 0, row_count = 0;
    std::vector<std::uint64_t> bits;
    [[nodiscard]] const std::uint64_t* row(std::int64_t y, std::int64_t words) const {
      return bits.data() + (y - first_row) * words;
    }
  };
  using SlicePtr = std::shared_ptr<const Slice>;

  /// The first x >= `from` whose bit is `set`; the width where there is none.
  [[nodiscard]] std::int64_t next(const std::uint64_t* row, std::int64_t from, bool set) const;
  /// One voxel of a slice.
  [[nodiscard]] std::uint8_t bit(const SlicePtr& slice, std::int64_t y, std::int64_t x) const;
  [[nodiscard]] std::vector<std::uint8_t> unpacked(std::int64_t z) const;
  [[nodiscard]] SlicePtr packed(const std::vector<std::uint8_t>& values) const;
  VoxelBox set_line(std::int64_t z, const Plane& plane, const std::uint8_t* values);

  Grid grid_;
  std::int64_t words_ = 0;  // 64 voxels each, of a row
  std::vector<SlicePtr> slices_;
};

}  // namespace medsam::session
