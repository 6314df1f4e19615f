// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "session/plane_image.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>
#include <type_traits>

#include "backends/backend.hpp"
#include "base/finite.hpp"
#include "base/number_text.hpp"
#include "base/sha256.hpp"
#include "image/views.hpp"
#include "medsam/error.hpp"

namespace medsam::session {

Point encoded_point(const EncodedSize& size, const PlanePoint& point, bool positive) {
  const auto inside = [](const Resampling& side, double v) {
    return std::clamp(side.position(v), 0.0, static_cast<double>(side.to - 1));
  };
  return {inside(size.columns, point.x), inside(size.rows, point.y), positive ? 1 : 0};
}

EncodedSize encoded_size(const Grid& grid, int axis) {
  return medsam::encoded_size(grid.rows(axis), grid.columns(axis), grid.row_spacing(axis), grid.column_spacing(axis));
}

Pixels::Pixels(const VolumeView& volume, const SessionOptions& options)
    : type_(volume.type), channels_(volume.channels), sample_bytes_(sample_bytes(volume.type)) {
  check_volume(volume);
  grid_ = {{volume.depth, volume.height, volume.width},
           {checked_spacing(options.spacing_z, "z"), checked_spacing(options.spacing_y, "y"),
            checked_spacing(options.spacing_x, "x")}};
  const std::int64_t row = volume.width * channels_ * sample_bytes_;
  bytes_.resize(static_cast<std::size_t>(volume.depth * volume.height * row));
  std::uint8_t* to = bytes_.data();
  for (std::int64_t z = 0; z < volume.depth; ++z) {
    const ImageView slice = slice_of(volume, z);
    for (std::int64_t y = 0; y < volume.height; ++y, to += row) {
      std::memcpy(to, static_cast<const std::uint8_t*>(slice.data) + y * slice.row_stride,
                  static_cast<std::size_t>(row));
      const bool finite =
          type_ != PixelType::f32 || all_finite(reinterpret_cast<const float*>(to), volume.width * channels_);
      if (!finite) throw InvalidArgument(backends::kImageNotFinite);
    }
  }
}

VolumeView Pixels::slices(std::int64_t first, std::int64_t last) const {
  const std::int64_t row = grid_.width() * channels_ * sample_bytes_;
  return {voxel(first, 0, 0), type_, last - first + 1,    grid_.height(), grid_.width(),
          channels_,          row,   row * grid_.height()};
}

const std::string& Pixels::digest() const {
  std::call_once(digest_made_, [&] { digest_ = digest_anew(); });
  return digest_;
}

std::string Pixels::digest_anew() const {
  Sha256 hash;
  std::string header = "medsam session pixels 1 type " + std::to_string(static_cast<int>(type_)) + " channels " +
                       std::to_string(channels_);
  for (int axis = 0; axis < 3; ++axis) {
    header += " axis " + std::to_string(grid_.shape[axis]) + " " + exact_text(grid_.spacing[axis]);
  }
  header += "\n";
  hash.update(header.data(), header.size());
  hash.update(reinterpret_cast<const char*>(bytes_.data()), bytes_.size());
  return hash.hex();
}

const std::uint8_t* Pixels::voxel(std::int64_t z, std::int64_t y, std::int64_t x) const {
  return bytes_.data() + ((z * grid_.height() + y) * grid_.width() + x) * channels_ * sample_bytes_;
}

const std::uint8_t* Pixels::pixel(const Plane& plane, std::int64_t row, std::int64_t column) const {
  switch (plane.axis) {
    case 0:
      return voxel(plane.index, row, column);
    case 1:
      return voxel(row, plane.index, column);
    default:
      return voxel(row, column, plane.index);
  }
}

template <class Visit>
void Pixels::visit(const Plane& plane, const PixelRegion& region, Visit&& visit) const {
  with_sample_type(type_, [&](auto sample) {
    for (std::int64_t y = region.y0; y < region.y1; ++y) {
      for (std::int64_t x = region.x0; x < region.x1; ++x) {
        const auto* at = reinterpret_cast<const decltype(sample)*>(pixel(plane, y, x));
        for (int c = 0; c < channels_; ++c) visit(static_cast<float>(at[c]));
      }
    }
  });
}

std::vector<float> Pixels::values(const Plane& plane, const PixelRegion& region) const {
  std::vector<float> values;
  values.reserve(static_cast<std::size_t>(region.rows() * region.columns() * channels_));
  visit(plane, region, [&](float v) { values.push_back(v); });
  if (type_ == PixelType::u8) return values;
  float low = std::numeric_limits<float>::infinity(), high = -low;
  visit(plane, {0, 0, grid_.columns(plane.axis), grid_.rows(plane.axis)}, [&](float v) {
    low = std::min(low, v);
    high = std::max(high, v);
  });
  // In double: the range of f32 pixels may be more than a float holds.
  const double range = high > low ? static_cast<double>(high) - low : 1;
  for (float& v : values) v = static_cast<float>((static_cast<double>(v) - low) / range * 255);
  return values;
}

PlaneImage Pixels::image(const Plane& plane) const {
  return plane_image(slices(0, grid_.depth() - 1), plane.axis, plane.index, encoded_size(grid_, plane.axis));
}

}  // namespace medsam::session
