// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Percentiles of values that are looked at in parts, where sorting would need several times their memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "window/samples.hpp"

namespace medsam {

/// The values above 0 among those that it is given, rounded to float, counted by the bits of each: positive floats sort
/// as their bits do, read as integers. A first pass counts the upper half of the bits, a second one the lower half of
/// those few values among which a percentile lies, so that 512 KiB hold the counts of each.
class PositivePercentiles {
 public:
  /// `percentiles`: 0 to 100.
  explicit PositivePercentiles(std::vector<double> percentiles);

  /// First pass: one of the values; any number of them. Not NaN.
  void count_upper(float value, std::uint64_t times = 1) noexcept { upper_[bits(value) >> kHalf] += times; }

  /// Ends the first pass. False when no value was above 0; there is then no second pass.
  [[nodiscard]] bool find_heads();

  /// Second pass: the same values again.
  void count_lower(float value, std::uint64_t times = 1) noexcept;

  /// The percentiles, in the order in which they were asked for, exactly as numpy.percentile (linear) gives them for
  /// double.
  [[nodiscard]] std::vector<double> values() const;

 private:
  static constexpr unsigned kHalf = 16;
  static constexpr std::size_t kCounts = std::size_t{1} << kHalf;
  using Counts = std::vector<std::uint64_t>;

  /// The values whose upper bits are `head`: how many are below them, and how often each has which lower bits.
  struct Head {
    std::uint32_t bits = 0;
    std::uint64_t before = 0;
    Counts lower;
  };

  static std::uint32_t bits(float value) noexcept;
  [[nodiscard]] double place(double percentile) const noexcept;
  [[nodiscard]] double ranked(std::uint64_t rank) const;

  std::vector<double> percentiles_;
  Counts upper_;
  std::uint64_t count_ = 0;
  std::vector<Head> heads_;
  std::vector<std::uint8_t> head_of_;  // by upper bits: 1 + index of the head, 0 for none
};

}  // namespace medsam
