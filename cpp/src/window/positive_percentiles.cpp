// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "window/positive_percentiles.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <utility>

namespace medsam {

namespace {

/// The place of the value that would stand at `rank` if all were sorted, and how many lie in the places before.
std::pair<std::size_t, std::uint64_t> place_of_rank(const std::vector<std::uint64_t>& counts, std::uint64_t rank) {
  std::uint64_t before = 0;
  std::size_t place = 0;
  while (place + 1 < counts.size() && before + counts[place] <= rank) before += counts[place++];
  return {place, before};
}

/// Linear between two neighbors, rounded as NumPy rounds it.
double between(double low, double high, double share) {
  return share >= 0.5 ? high - (high - low) * (1 - share) : low + (high - low) * share;
}

}  // namespace

PositivePercentiles::PositivePercentiles(std::vector<double> percentiles)
    : percentiles_(std::move(percentiles)), upper_(kCounts), head_of_(kCounts) {}

std::uint32_t PositivePercentiles::bits(float value) noexcept { return std::bit_cast<std::uint32_t>(value); }

double PositivePercentiles::place(double percentile) const noexcept {
  return static_cast<double>(count_ - 1) * (percentile / 100);
}

bool PositivePercentiles::find_heads() {
  count_ = std::accumulate(upper_.begin(), upper_.end(), std::uint64_t{0});
  if (count_ == 0) return false;
  for (const double percentile : percentiles_) {
    const auto first = static_cast<std::uint64_t>(place(percentile));
    for (const std::uint64_t rank : {first, std::min(first + 1, count_ - 1)}) {
      const auto [head, before] = place_of_rank(upper_, rank);
      if (head_of_[head] != 0) continue;
      heads_.push_back({static_cast<std::uint32_t>(head), before, Counts(kCounts)});
      head_of_[head] = static_cast<std::uint8_t>(heads_.size());
    }
  }
  return true;
}

void PositivePercentiles::count_lower(float value, std::uint64_t times) noexcept {
  const std::uint32_t all = bits(value);
  const std::uint8_t head = head_of_[all >> kHalf];
  if (head != 0) heads_[head - 1U].lower[all & (kCounts - 1)] += times;
}

double PositivePercentiles::ranked(std::uint64_t rank) const {
  const std::size_t upper = place_of_rank(upper_, rank).first;
  const Head& head = heads_[head_of_[upper] - 1U];
  const std::size_t lower = place_of_rank(head.lower, rank - head.before).first;
  return std::bit_cast<float>(head.bits << kHalf | static_cast<std::uint32_t>(lower));
}

std::vector<double> PositivePercentiles::values() const {
  std::vector<double> found;
  for (const double percentile : percentiles_) {
    const double where = place(percentile);
    const auto first = static_cast<std::uint64_t>(where);
    found.push_back(
        between(ranked(first), ranked(std::min(first + 1, count_ - 1)), where - static_cast<double>(first)));
  }
  return found;
}

}  // namespace medsam
