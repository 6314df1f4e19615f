// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The planes of a volume, of any axis, as the encoder gets them: images of square pixels.
#pragma once

#include <cstdint>
#include <vector>

#include "image/resample.hpp"
#include "medsam/prompt.hpp"
#include "medsam/volume.hpp"

namespace medsam {

/// The mm between voxels along `axis` ("x"), 1e-7 to 1e6; InvalidArgument otherwise.
double checked_spacing(double spacing, const char* axis);

/// The array axis (0 = z, 1 = y, 2 = x) of a plane's rows and that of its columns.
inline int row_axis(int axis) { return axis == 0 ? 1 : 0; }
inline int column_axis(int axis) { return axis == 2 ? 1 : 2; }

/// The size in which a plane is encoded: one of square pixels, by enlarging the side whose pixels are longer.
struct EncodedSize {
  Resampling rows, columns;
  [[nodiscard]] bool changed() const { return rows.from != rows.to || columns.from != columns.to; }
  bool operator==(const EncodedSize&) const = default;
};
EncodedSize encoded_size(std::int64_t rows, std::int64_t columns, double row_spacing, double column_spacing);

/// A box of a plane as a prompt about the plane as it is encoded. The box has ends inside the plane.
Box encoded_box(const EncodedSize& size, const Box& box);

/// An image in memory of its own or in that of the volume it is a plane of.
struct PlaneImage {
  ImageView view;
  std::vector<std::uint8_t> storage;
};
/// Plane `index` along `axis` of a checked volume, in a size that encoded_size gave for it.
PlaneImage plane_image(const VolumeView& volume, int axis, std::int64_t index, const EncodedSize& size);

}  // namespace medsam
