// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "image/encoded_plane.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>
#include <string>
#include <type_traits>

#include "base/number_text.hpp"
#include "image/views.hpp"
#include "medsam/error.hpp"

namespace medsam {

namespace {

constexpr double kSquare = 0.01;                            // sides of pixels that differ by less are alike
constexpr std::int64_t kLongestSide = 4096;                 // of a resampled plane: four times what any encoder takes
constexpr double kLeastSpacing = 1e-7, kMostSpacing = 1e6;  // mm, as medsam_engine.io reads them

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

/// The plane's own pixels, rows dense.
std::vector<std::uint8_t> copied(const VolumeView& volume, int axis, std::int64_t index, const EncodedSize& size) {
  const std::int64_t pixel_bytes = volume.channels * sample_bytes(volume.type);
  const std::int64_t row = size.columns.from * pixel_bytes;
  std::vector<std::uint8_t> out(static_cast<std::size_t>(size.rows.from * row));
  std::uint8_t* to = out.data();
  for (std::int64_t y = 0; y < size.rows.from; ++y, to += row) {
    const ImageView slice = slice_of(volume, axis == 0 ? index : y);
    const auto* from = static_cast<const std::uint8_t*>(slice.data);
    if (axis != 2) {
      std::memcpy(to, from + (axis == 0 ? y : index) * slice.row_stride, static_cast<std::size_t>(row));
      continue;
    }
    from += index * pixel_bytes;  // its columns lie a row apart
    for (std::int64_t x = 0; x < size.columns.from; ++x, from += slice.row_stride) {
      std::memcpy(to + x * pixel_bytes, from, static_cast<std::size_t>(pixel_bytes));
    }
  }
  return out;
}

}  // namespace

double checked_spacing(double spacing, const char* axis) {
  if (spacing >= kLeastSpacing && spacing <= kMostSpacing) return spacing;
  throw InvalidArgument(std::string("spacing: got ") + number_text(spacing) + " along " + axis + ", expected " +
                        number_text(kLeastSpacing) + " to " + number_text(kMostSpacing) + " mm");
}

EncodedSize encoded_size(std::int64_t rows, std::int64_t columns, double row_spacing, double column_spacing) {
  EncodedSize size{{rows, rows}, {columns, columns}};
  const double ratio = row_spacing / column_spacing;  // of a pixel's height to its width
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

PlaneImage plane_image(const VolumeView& volume, int axis, std::int64_t index, const EncodedSize& size) {
  PlaneImage image;
  if (axis == 0 && !size.changed()) {
    image.view = slice_of(volume, index);
    return image;
  }
  image.storage = copied(volume, axis, index, size);
  if (size.changed()) {
    image.storage = with_sample_type(
        volume.type, [&](auto sample) { return resampled_as<decltype(sample)>(image.storage, volume.channels, size); });
  }
  image.view = {image.storage.data(), volume.type,     size.rows.to,
                size.columns.to,      volume.channels, size.columns.to * volume.channels * sample_bytes(volume.type)};
  return image;
}

}  // namespace medsam
