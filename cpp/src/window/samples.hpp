// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Values of any type in memory that a host lends: whether a view is sound, and its rows.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
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

/// Calls `act(T{})`, T being the type of a value.
template <class Act>
void with_type(SampleType type, const Act& act) {
  switch (type) {
    case SampleType::u8:
      return act(std::uint8_t{});
    case SampleType::i8:
      return act(std::int8_t{});
    case SampleType::u16:
      return act(std::uint16_t{});
    case SampleType::i16:
      return act(std::int16_t{});
    case SampleType::u32:
      return act(std::uint32_t{});
    case SampleType::i32:
      return act(std::int32_t{});
    case SampleType::u64:
      return act(std::uint64_t{});
    case SampleType::i64:
      return act(std::int64_t{});
    case SampleType::f32:
      return act(float{});
    case SampleType::f64:
      return act(double{});
  }
}

/// Row y of a checked view, whose type is T.
template <class T>
const T* row_of(const SampleView& view, std::int64_t y) noexcept {
  return reinterpret_cast<const T*>(static_cast<const char*>(view.data) + y * view.row_stride);
}

/// Whether a value lies in an interval, as NumPy compares an array with a Python float: f32 in float, all others in
/// double. Integers that a double holds are compared as they are, which is the same and needs no conversion.
template <class T>
class Within {
 public:
  explicit Within(const ValueInterval& interval) noexcept {
    if constexpr (kWhole) {
      const double low = std::max(std::ceil(interval.low), static_cast<double>(std::numeric_limits<T>::lowest()));
      const double high = std::min(std::floor(interval.high), static_cast<double>(std::numeric_limits<T>::max()));
      if (!(low <= high)) return;  // nothing lies in it; an end may be NaN
      low_ = static_cast<T>(low);
      high_ = static_cast<T>(high);
    } else {
      low_ = static_cast<Compared>(interval.low);
      high_ = static_cast<Compared>(interval.high);
    }
  }
  bool operator()(T value) const noexcept {
    const auto compared = static_cast<Compared>(value);
    return (compared >= low_) & (compared <= high_);
  }

 private:
  static constexpr bool kWhole = std::is_integral_v<T> && sizeof(T) <= 4;
  using Compared = std::conditional_t<kWhole || std::is_same_v<T, float>, T, double>;
  Compared low_ = 1, high_ = 0;
};

}  // namespace medsam
