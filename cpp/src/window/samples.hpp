// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Values of any type in memory that a host lends: whether a view is sound, and a loop over its rows.
#pragma once

#include <cstdint>
#include <type_traits>

#include "medsam/window.hpp"

namespace medsam {

/// Bytes of one value; InvalidArgument for a number that is no type.
std::int64_t sample_bytes(SampleType type);

/// InvalidArgument when the view does not describe values: null, too large, misaligned, of impossible stride.
void check_samples(const SampleView& samples);

/// A checked image, as samples. InvalidArgument when it is unsound or in color.
SampleView samples_of(const ImageView& image);

SampleType sample_type(PixelType type);

/// Calls `take(values, y)` for every row of a checked view, with a pointer to the row's values in their type.
template <class Take>
void for_rows(const SampleView& view, const Take& take) {
  const auto rows_of = [&]<class T>(T) {
    for (std::int64_t y = 0; y < view.height; ++y) {
      take(reinterpret_cast<const T*>(static_cast<const char*>(view.data) + y * view.row_stride), y);
    }
  };
  switch (view.type) {
    case SampleType::u8:
      return rows_of(std::uint8_t{});
    case SampleType::i8:
      return rows_of(std::int8_t{});
    case SampleType::u16:
      return rows_of(std::uint16_t{});
    case SampleType::i16:
      return rows_of(std::int16_t{});
    case SampleType::u32:
      return rows_of(std::uint32_t{});
    case SampleType::i32:
      return rows_of(std::int32_t{});
    case SampleType::u64:
      return rows_of(std::uint64_t{});
    case SampleType::i64:
      return rows_of(std::int64_t{});
    case SampleType::f32:
      return rows_of(float{});
    case SampleType::f64:
      return rows_of(double{});
  }
}

/// Whether a value lies in an interval, as NumPy compares an array with a Python float: f32 in float, all others in
/// double.
template <class T>
class Within {
 public:
  using Compared = std::conditional_t<std::is_same_v<T, float>, float, double>;
  explicit Within(const ValueInterval& interval) noexcept
      : low_(static_cast<Compared>(interval.low)), high_(static_cast<Compared>(interval.high)) {}
  bool operator()(T value) const noexcept {
    const auto compared = static_cast<Compared>(value);
    return compared >= low_ && compared <= high_;
  }

 private:
  Compared low_, high_;
};

}  // namespace medsam
