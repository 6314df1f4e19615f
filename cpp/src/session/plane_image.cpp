// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "session/plane_image.hpp"

#include <algorithm>
#include <charconv>
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

namespace {

constexpr double kSquare = 0.01;                            // sides of pixels that differ by less are alike
constexpr std::int64_t kLongestSide = 4096;                 // of a resampled plane: four times what any encoder takes
constexpr double kLeastSpacing = 1e-7, kMostSpacing = 1e6;  // mm, as medsam_engine.io reads them

double checked_spacing(double spacing, const char* axis) {
  if (spacing >= kLeastSpacing && spacing <= kMostSpacing) return spacing;
  throw InvalidArgument(std::string("spacing: got ") + number_text(spacing) + " along " + axis + ", expected " +
                        number_text(kLeastSpacing) + " to " + number_text(kMostSpacing) + " mm");
}

/// All digits: two spacings that differ have two texts.
std::string exact_text(double value) {
  char digits[32];
  return {digits, std::to_chars(digits, digits + sizeof digits, value).ptr};
}

template <class T>
T rounded(float value) {
  if constexpr (std::is_floating_point_v<T>) {
    return value;
  } else {
    // A mean of values of T is in T's range, but for the rounding of its weights.
    constexpr long kLeast = std::numeric_limits<T>::min(), kMost = std::numeric_limits<T>::max();
    return static_cast<T>(std::clamp(std::lrintf(value), kLeast, kMost));
  }
}

template <class T>
std::vector<std::uint8_t> resampled_as(const std::vector<std::uint8_t>& bytes, int channels, const EncodedSize& size) {
  const auto* values = reinterpret_cast<const T*>(bytes.data());
  const std::size_t count = bytes.size() / sizeof(T);
  const std::vector<float> numbers(values, std::next(values, static_cast<std::ptrdiff_t>(count)));
  const std::vector<float> made =
      resampled(numbers, size.columns.from, channels, linear_taps(size.rows), linear_taps(size.columns));
  std::vector<std::uint8_t> out(made.size() * sizeof(T));
  std::transform(made.begin(), made.end(), reinterpret_cast<T*>(out.data()), rounded<T>);
  return out;
}

/// Calls f with a value of the type of a sample.
template <class F>
auto as_type(PixelType type, F&& f) {
  switch (type) {
    case PixelType::u8:
      return f(std::uint8_t{});
    case PixelType::u16:
      return f(std::uint16_t{});
    case PixelType::i16:
      return f(std::int16_t{});
    case PixelType::f32:
      return f(float{});
  }
  throw InvalidArgument("image: got an unknown pixel type, expected u8, u16, i16 or f32");
}

}  // namespace

EncodedSize encoded_size(const Grid& grid, int axis) {
  const std::int64_t rows = grid.rows(axis), columns = grid.columns(axis);
  EncodedSize size{{rows, rows}, {columns, columns}};
  const double ratio = grid.row_spacing(axis) / grid.column_spacing(axis);  // of a pixel's height to its width
  if (std::abs(ratio - 1) < kSquare) return size;
  Resampling& longer = ratio > 1 ? size.rows : size.columns;
  Resampling& other = ratio > 1 ? size.columns : size.rows;
  const double wanted = static_cast<double>(longer.from) * std::max(ratio, 1 / ratio);
  const auto most = static_cast<double>(std::max(kLongestSide, longer.from));
  const double share = std::min(1.0, most / wanted);  // below 1, the other side shrinks instead
  longer.to = std::max<std::int64_t>(1, std::llround(wanted * share));
  other.to = std::max<std::int64_t>(1, std::llround(static_cast<double>(other.from) * share));
  return size;
}

Point encoded_point(const EncodedSize& size, const PlanePoint& point, bool positive) {
  const auto inside = [](const Resampling& side, double v) {
    return std::clamp(side.position(v), 0.0, static_cast<double>(side.to - 1));
  };
  return {inside(size.columns, point.x), inside(size.rows, point.y), positive ? 1 : 0};
}

Box encoded_box(const EncodedSize& size, const Box& box) {
  // Ends are whole pixels: a box from x0 to x1 reaches from the left edge of x0 to the right edge of x1.
  const auto first = [](const Resampling& side, double v) { return side.from == side.to ? v : v * side.scale(); };
  const auto last = [](const Resampling& side, double v, double from) {
    if (side.from == side.to) return v;
    return std::clamp((v + 1) * side.scale() - 1, from, static_cast<double>(side.to - 1));
  };
  Box out;
  out.x0 = std::min(first(size.columns, box.x0), static_cast<double>(size.columns.to - 1));
  out.y0 = std::min(first(size.rows, box.y0), static_cast<double>(size.rows.to - 1));
  out.x1 = last(size.columns, box.x1, out.x0);
  out.y1 = last(size.rows, box.y1, out.y0);
  return out;
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
  as_type(type_, [&](auto sample) {
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

Pixels::Image Pixels::image(const Plane& plane) const {
  const EncodedSize size = encoded_size(grid_, plane.axis);
  const std::int64_t pixel_bytes = channels_ * sample_bytes_;
  Image image;
  image.view = slice_of(slices(0, 0), 0);
  image.view.height = size.rows.to;
  image.view.width = size.columns.to;
  image.view.row_stride = size.columns.to * pixel_bytes;
  if (plane.axis == 2) {  // its columns lie a row apart
    image.storage.resize(static_cast<std::size_t>(size.rows.from * size.columns.from * pixel_bytes));
    std::uint8_t* to = image.storage.data();
    for (std::int64_t y = 0; y < size.rows.from; ++y) {
      for (std::int64_t x = 0; x < size.columns.from; ++x, to += pixel_bytes) {
        std::memcpy(to, pixel(plane, y, x), static_cast<std::size_t>(pixel_bytes));
      }
    }
  } else if (size.changed() || plane.axis == 1) {
    const std::int64_t row = size.columns.from * pixel_bytes;
    image.storage.resize(static_cast<std::size_t>(size.rows.from * row));
    for (std::int64_t y = 0; y < size.rows.from; ++y) {
      std::memcpy(image.storage.data() + y * row, pixel(plane, y, 0), static_cast<std::size_t>(row));
    }
  }
  if (size.changed()) {
    image.storage =
        as_type(type_, [&](auto sample) { return resampled_as<decltype(sample)>(image.storage, channels_, size); });
  }
  image.view.data = image.storage.empty() ? pixel(plane, 0, 0) : image.storage.data();
  return image;
}

}  // namespace medsam::session
