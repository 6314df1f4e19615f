// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The voxels of a session and the planes through them, of any axis: sizes, spacing, coordinates.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "image/encoded_plane.hpp"
#include "medsam/session.hpp"

namespace medsam::session {

/// A volume's shape (z, y, x) and the mm between its voxels, by array axis.
struct Grid {
  std::int64_t shape[3] = {1, 1, 1};
  double spacing[3] = {1, 1, 1};

  [[nodiscard]] std::int64_t depth() const { return shape[0]; }
  [[nodiscard]] std::int64_t height() const { return shape[1]; }
  [[nodiscard]] std::int64_t width() const { return shape[2]; }
  [[nodiscard]] std::int64_t rows(int axis) const { return shape[row_axis(axis)]; }
  [[nodiscard]] std::int64_t columns(int axis) const { return shape[column_axis(axis)]; }
  [[nodiscard]] double row_spacing(int axis) const { return spacing[row_axis(axis)]; }
  [[nodiscard]] double column_spacing(int axis) const { return spacing[column_axis(axis)]; }

  bool operator==(const Grid&) const = default;
};

/// "plane 3 of axis 0", as errors call it.
std::string plane_text(const Plane& plane);

/// InvalidArgument unless the grid has the plane.
void check_plane(const Grid& grid, const Plane& plane);

/// InvalidArgument, beginning with `what`, unless the point is finite and on a pixel of the plane: -0.5 to size - 0.5.
void check_point(const Grid& grid, const Plane& plane, const PlanePoint& point, const std::string& what);

/// InvalidArgument, beginning with `what`, for checked points whose line is longer than any that a person draws: 4
/// times the pixels of the plane. It bounds the memory and the time that a prompt can take.
void check_drawn(const Grid& grid, const Plane& plane, const std::vector<PlanePoint>& line, const std::string& what);

/// The pixel on which a checked point lies.
struct PlanePixel {
  std::int64_t x = 0, y = 0;
};
PlanePixel pixel_of(const Grid& grid, const Plane& plane, const PlanePoint& point);

/// All voxels.
VoxelBox whole(const Grid& grid);

/// InvalidArgument unless the box has voxels, all of the grid.
void check_voxels(const Grid& grid, const VoxelBox& box);

/// The voxels of a box of pixels of a plane, ends inclusive; empty where x1 < x0.
VoxelBox voxels_of(const Plane& plane, std::int64_t x0, std::int64_t y0, std::int64_t x1, std::int64_t y1);

/// The smallest box around both.
VoxelBox united(const VoxelBox& a, const VoxelBox& b);

}  // namespace medsam::session
