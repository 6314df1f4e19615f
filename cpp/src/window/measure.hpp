// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What a window needs to know of all values of a volume that are no padding: passes over slices that are given one at a
// time.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "medsam/window.hpp"

namespace medsam {

/// The slices of a volume, all of one type, and what is padding in each (for none of them, or for all).
struct MeasuredVolume {
  std::int64_t depth;
  SampleType type;
  const SliceSource& slices;
  const std::vector<std::optional<ValueInterval>>& padding;
};

/// The smallest and the largest value.
struct ValueEnds {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  [[nodiscard]] bool any() const noexcept { return low <= high; }
};

/// The ends of all values. InvalidArgument for NaN, a slice of another type and an unsound view.
ValueEnds measure_ends(const MeasuredVolume& volume);

/// The ends of all values, and percentiles of those above 0, rounded to float.
struct PercentileEnds {
  ValueEnds all;
  std::vector<double> percentiles;  // empty when no value is above 0
};

/// Errors of measure_ends. Values of 8 and 16 bits take one pass, all others two.
PercentileEnds measure_percentiles(const MeasuredVolume& volume, const std::vector<double>& percentiles);

}  // namespace medsam
