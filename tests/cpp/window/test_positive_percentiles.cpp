// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Counting is sorting.
#include "window/positive_percentiles.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace medsam {
namespace {

std::vector<double> counted(const std::vector<float>& values, const std::vector<double>& percentiles) {
  PositivePercentiles positive(percentiles);
  for (const float value : values) positive.count_upper(value);
  if (!positive.find_heads()) return {};
  for (const float value : values) positive.count_lower(value);
  return positive.values();
}

/// numpy.percentile, linear.
double sorted(std::vector<float> values, double percentile) {
  std::sort(values.begin(), values.end());
  const double place = static_cast<double>(values.size() - 1) * (percentile / 100);
  const auto first = static_cast<std::size_t>(place);
  const double low = values[first], high = values[std::min(first + 1, values.size() - 1)];
  const double share = place - std::floor(place);
  return share >= 0.5 ? high - (high - low) * (1 - share) : low + (high - low) * share;
}

TEST(PositivePercentiles, AreThoseOfTheSortedValues) {
  const std::vector<double> percentiles{0.5, 99.5, 0, 100, 50, 33.3};
  std::mt19937 random(7);  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same values on every run
  std::lognormal_distribution<float> spread(3, 20);
  for (const std::size_t count : {1U, 2U, 3U, 200U, 201U, 5000U}) {
    std::vector<float> values(count);
    for (float& value : values) value = std::max(spread(random), std::numeric_limits<float>::denorm_min());
    values[0] = std::numeric_limits<float>::denorm_min();
    if (count > 2) values[1] = std::numeric_limits<float>::max();
    const std::vector<double> found = counted(values, percentiles);
    for (std::size_t k = 0; k < percentiles.size(); ++k) {
      EXPECT_EQ(found[k], sorted(values, percentiles[k])) << count << " values, percentile " << percentiles[k];
    }
  }
}

TEST(PositivePercentiles, OfNothing) { EXPECT_TRUE(counted({}, {50}).empty()); }

TEST(PositivePercentiles, OfMoreValuesThan32BitsCount) {
  constexpr std::uint64_t kMany = std::uint64_t{3} << 33;
  PositivePercentiles positive({0.5, 50, 99.5});
  const auto count = [&](auto&& add) {
    add(1.0F, kMany / 100);
    add(2.0F, kMany);
    add(std::nextafter(2.0F, 3.0F), kMany / 100);
  };
  count([&](float value, std::uint64_t times) { positive.count_upper(value, times); });
  ASSERT_TRUE(positive.find_heads());
  count([&](float value, std::uint64_t times) { positive.count_lower(value, times); });
  EXPECT_EQ(positive.values(), (std::vector<double>{1, 2, std::nextafter(2.0F, 3.0F)}));
}

}  // namespace
}  // namespace medsam
