// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Distances against a search through all pixels.
#include "session/distance.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace medsam::session {
namespace {

float brute(const PlaneMask& mask, std::int64_t x, std::int64_t y, std::uint8_t to) {
  std::int64_t best = std::numeric_limits<std::int64_t>::max();
  for (std::int64_t v = 0; v < mask.rows; ++v) {
    for (std::int64_t u = 0; u < mask.columns; ++u) {
      if (mask.at(u, v) == to) best = std::min(best, (u - x) * (u - x) + (v - y) * (v - y));
    }
  }
  if (best == std::numeric_limits<std::int64_t>::max()) return std::numeric_limits<float>::infinity();
  return static_cast<float>(std::sqrt(static_cast<double>(best)));
}

TEST(Distance, IsExact) {
  std::mt19937 random(7);
  for (const auto& [rows, columns] : {std::pair{1, 1}, {1, 30}, {30, 1}, {17, 23}, {24, 40}}) {
    for (const std::uint32_t one_in : {2u, 7u, 60u, 1000000u}) {
      PlaneMask mask(rows, columns);
      for (auto& v : mask.values) v = static_cast<std::uint8_t>(random() % one_in == 0);
      const std::vector<float> to_object = distance_to(mask, 1), to_rest = distance_to(mask, 0);
      const std::vector<float> both = signed_distance(mask);
      for (std::int64_t y = 0; y < rows; ++y) {
        for (std::int64_t x = 0; x < columns; ++x) {
          const auto i = static_cast<std::size_t>(y * columns + x);
          ASSERT_EQ(to_object[i], brute(mask, x, y, 1)) << x << ", " << y;
          ASSERT_EQ(to_rest[i], brute(mask, x, y, 0)) << x << ", " << y;
          ASSERT_EQ(both[i], mask.at(x, y) != 0 ? to_rest[i] - 0.5f : 0.5f - to_object[i]);
        }
      }
    }
  }
}

TEST(Distance, WithoutPixelsOfAKindIsInfinite) {
  PlaneMask mask(3, 4);
  for (const float d : distance_to(mask, 1)) EXPECT_EQ(d, std::numeric_limits<float>::infinity());
  for (const float d : signed_distance(mask)) EXPECT_EQ(d, -std::numeric_limits<float>::infinity());
  std::fill(mask.values.begin(), mask.values.end(), std::uint8_t{1});
  for (const float d : signed_distance(mask)) EXPECT_EQ(d, std::numeric_limits<float>::infinity());
}

}  // namespace
}  // namespace medsam::session
