// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "window/measure.hpp"

#include <algorithm>
#include <string>
#include <type_traits>
#include <utility>

#include "medsam/error.hpp"
#include "window/positive_percentiles.hpp"
#include "window/samples.hpp"

namespace medsam {

namespace {

/// Calls `take(values, count, is_padding)` for each row of each slice; is_padding says it of one value.
template <class Take>
void for_each_row(const MeasuredVolume& volume, const Take& take) {
  for (std::int64_t k = 0; k < volume.depth; ++k) {
    const SampleView slice = volume.slices(k);
    if (slice.type != volume.type) {
      throw InvalidArgument("window: got slice " + std::to_string(k) +
                            " of another sample type, expected that of the volume for all");
    }
    check_samples(slice);
    const std::optional<ValueInterval>* const hidden =
        volume.padding.empty() ? nullptr : &volume.padding[static_cast<std::size_t>(k)];
    with_type(slice.type, [&]<class T>(T) {
      for (std::int64_t y = 0; y < slice.height; ++y) {
        if (hidden != nullptr && *hidden) {
          take(row_of<T>(slice, y), slice.width, Within<T>(**hidden));
        } else {
          take(row_of<T>(slice, y), slice.width, [](T) { return std::false_type(); });
        }
      }
    });
  }
}

/// `count` values widen `ends`. In lanes, so that the compiler makes vector instructions of it.
template <class T, class IsPadding>
void widen(const T* values, std::int64_t count, const IsPadding& is_padding, ValueEnds& ends) {
  constexpr auto kLanes = static_cast<std::int64_t>(64 / sizeof(T));
  constexpr bool kFloat = std::is_floating_point_v<T>;
  constexpr T kHighest = kFloat ? std::numeric_limits<T>::infinity() : std::numeric_limits<T>::max();
  constexpr T kLowest = kFloat ? static_cast<T>(-kHighest) : std::numeric_limits<T>::lowest();
  T low[kLanes], high[kLanes], nan[kLanes] = {};
  std::fill_n(low, kLanes, kHighest);
  std::fill_n(high, kLanes, kLowest);
  const auto add = [&](T value, std::int64_t lane) {
    const bool hidden = is_padding(value);
    const T lower = hidden ? kHighest : value, higher = hidden ? kLowest : value;
    low[lane] = lower < low[lane] ? lower : low[lane];
    high[lane] = higher > high[lane] ? higher : high[lane];
    if constexpr (kFloat) nan[lane] = lower != lower ? T{1} : nan[lane];
  };
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) add(values[i + lane], lane);
  }
  for (; i < count; ++i) add(values[i], 0);
  for (std::int64_t lane = 0; lane < kLanes; ++lane) {
    if (nan[lane] != 0) {
      throw InvalidArgument(
          "window: got a value that is NaN, expected numbers; replace it by the number that stands for no measurement, "
          "and name that as padding");
    }
    if (low[lane] > high[lane]) continue;  // no value
    ends.low = std::min(ends.low, static_cast<double>(low[lane]));
    ends.high = std::max(ends.high, static_cast<double>(high[lane]));
  }
}

/// Calls `take` for every value above 0 that is no padding, rounded to float.
template <class T, class IsPadding, class Take>
void for_positive(const T* values, std::int64_t count, const IsPadding& is_padding, const Take& take) {
  for (std::int64_t i = 0; i < count; ++i) {
    if (values[i] > 0 && !is_padding(values[i])) take(static_cast<float>(values[i]));
  }
}

/// How often each value of 8 or 16 bits occurs that is no padding.
class NarrowCounts {
 public:
  explicit NarrowCounts(SampleType type) noexcept
      : is_signed_(type == SampleType::i8 || type == SampleType::i16), counts_(std::size_t{1} << 16) {}

  template <class T, class IsPadding>
  void add(const T* values, std::int64_t count, const IsPadding& is_padding) noexcept {
    for (std::int64_t i = 0; i < count; ++i) {
      counts_[static_cast<std::uint16_t>(values[i])] += is_padding(values[i]) ? 0U : 1U;
    }
  }

  /// Calls `take(value, times)` for every value that occurs.
  template <class Take>
  void for_each(const Take& take) const {
    for (std::size_t place = 0; place < counts_.size(); ++place) {
      const int value = is_signed_ ? static_cast<std::int16_t>(place) : static_cast<int>(place);
      if (counts_[place] > 0) take(value, counts_[place]);
    }
  }

 private:
  bool is_signed_;
  std::vector<std::uint64_t> counts_;
};

PercentileEnds narrow_percentiles(const MeasuredVolume& volume, PositivePercentiles positive) {
  NarrowCounts counts(volume.type);
  for_each_row(volume, [&]<class T>(const T* values, std::int64_t count, const auto& is_padding) {
    if constexpr (sizeof(T) <= 2) counts.add(values, count, is_padding);
  });
  PercentileEnds found;
  counts.for_each([&](int value, std::uint64_t times) {
    found.all.low = std::min(found.all.low, static_cast<double>(value));
    found.all.high = std::max(found.all.high, static_cast<double>(value));
    if (value > 0) positive.count_upper(static_cast<float>(value), times);
  });
  if (!positive.find_heads()) return found;
  counts.for_each([&](int value, std::uint64_t times) {
    if (value > 0) positive.count_lower(static_cast<float>(value), times);
  });
  found.percentiles = positive.values();
  return found;
}

}  // namespace

ValueEnds measure_ends(const MeasuredVolume& volume) {
  ValueEnds ends;
  for_each_row(volume, [&](const auto* values, std::int64_t count, const auto& is_padding) {
    widen(values, count, is_padding, ends);
  });
  return ends;
}

PercentileEnds measure_percentiles(const MeasuredVolume& volume, const std::vector<double>& percentiles) {
  PositivePercentiles positive(percentiles);
  if (sample_bytes(volume.type) <= 2) return narrow_percentiles(volume, std::move(positive));
  PercentileEnds found;
  for_each_row(volume, [&](const auto* values, std::int64_t count, const auto& is_padding) {
    widen(values, count, is_padding, found.all);
    for_positive(values, count, is_padding, [&](float value) { positive.count_upper(value); });
  });
  if (!positive.find_heads()) return found;
  for_each_row(volume, [&](const auto* values, std::int64_t count, const auto& is_padding) {
    for_positive(values, count, is_padding, [&](float value) { positive.count_lower(value); });
  });
  found.percentiles = positive.values();
  return found;
}

}  // namespace medsam
