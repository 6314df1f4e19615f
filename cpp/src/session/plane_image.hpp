// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The pixels of a session and the planes of them that the encoder gets.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "image/encoded_plane.hpp"
#include "medsam/session.hpp"
#include "session/grid.hpp"

namespace medsam::session {

/// The size in which a plane is encoded.
EncodedSize encoded_size(const Grid& grid, int axis);

/// A point of a plane as a prompt about the plane as it is encoded.
Point encoded_point(const EncodedSize& size, const PlanePoint& point, bool positive);

/// Pixels x0 <= x < x1, y0 <= y < y1 of a plane.
struct PixelRegion {
  std::int64_t x0 = 0, y0 = 0, x1 = 0, y1 = 0;
  [[nodiscard]] std::int64_t columns() const { return x1 - x0; }
  [[nodiscard]] std::int64_t rows() const { return y1 - y0; }
};

/// A volume's pixels, copied. Immutable.
class Pixels {
 public:
  /// InvalidArgument: no volume, or a spacing that is not positive and finite.
  Pixels(const VolumeView& volume, const SessionOptions& options);

  [[nodiscard]] const Grid& grid() const { return grid_; }
  /// The pixels as they were given, of slices [first, last].
  [[nodiscard]] VolumeView slices(std::int64_t first, std::int64_t last) const;
  /// SHA-256 of the pixels, their type and their grid; computed once. Thread-safe.
  [[nodiscard]] const std::string& digest() const;
  [[nodiscard]] int channels() const { return channels_; }
  /// A part of a plane's own pixels as numbers from 0 to 255: (rows, columns, channels). u8 as they are, other types
  /// stretched from the plane's least value to its greatest.
  [[nodiscard]] std::vector<float> values(const Plane& plane, const PixelRegion& region) const;

  /// A plane in the size in which it is encoded.
  [[nodiscard]] PlaneImage image(const Plane& plane) const;

 private:
  [[nodiscard]] std::string digest_anew() const;
  [[nodiscard]] const std::uint8_t* voxel(std::int64_t z, std::int64_t y, std::int64_t x) const;
  [[nodiscard]] const std::uint8_t* pixel(const Plane& plane, std::int64_t row, std::int64_t column) const;

  template <class Visit>
  void visit(const Plane& plane, const PixelRegion& region, Visit&& visit) const;

  Grid grid_;
  PixelType type_;
  int channels_;
  std::int64_t sample_bytes_;
  std::vector<std::uint8_t> bytes_;  // (D, H, W, C), dense
  mutable std::once_flag digest_made_;
  mutable std::string digest_;
};

}  // namespace medsam::session
