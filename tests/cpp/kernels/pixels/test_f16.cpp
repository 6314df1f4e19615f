// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Half precision: the scalar oracle against the definition (every half; every float that matters for rounding), every
// target against the oracle at all tail sizes. Everything is exact; there is no tolerance.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "kernels/pixels/pixel_kernels.hpp"
#include "kernels/support/tables_under_test.hpp"

namespace medsam::kernels {
namespace {

double value_of(std::uint16_t half) {
  const int exponent = (half >> 10) & 31, mantissa = half & 1023;
  const double magnitude = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
  return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

bool finite(std::uint16_t half) { return ((half >> 10) & 31) != 31; }

TEST(Half, TheOracleExpandsEveryHalf) {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    float v = -1;
    reference_table().from_f16(&half, &v, 1);
    if (finite(half)) {
      ASSERT_EQ(static_cast<double>(v), value_of(half)) << bits;
    } else {
      ASSERT_FALSE(std::isfinite(v)) << bits;
    }
  }
}

TEST(Half, TheOracleRoundsToTheNearestEven) {
  for (std::uint32_t bits = 0; bits < 0x7BFF; ++bits) {  // every pair of neighbors
    const auto low = static_cast<std::uint16_t>(bits), high = static_cast<std::uint16_t>(bits + 1);
    const auto a = static_cast<float>(value_of(low)), b = static_cast<float>(value_of(high));
    const float middle = static_cast<float>((value_of(low) + value_of(high)) / 2);  // exact in f32
    const std::uint16_t even = bits % 2 == 0 ? low : high;
    const float in[] = {a, std::nextafter(middle, a), middle, std::nextafter(middle, b), -middle};
    const std::uint16_t expected[] = {low, low, even, high, static_cast<std::uint16_t>(even | 0x8000)};
    std::uint16_t out[5];
    ASSERT_TRUE(reference_table().to_f16(in, out, 5));
    ASSERT_EQ(std::memcmp(out, expected, sizeof out), 0) << bits;
  }
}

TEST(Half, RefusesWhatDoesNotFitOnEveryTarget) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (const KernelTable* table : tables_under_test()) {
    for (const std::int64_t n : {1, 5, 8, 17, 40}) {
      for (const float bad : {65520.0f, -65520.0f, inf, -inf, nan}) {
        for (const std::int64_t at : {std::int64_t{0}, n / 2, n - 1}) {
          std::vector<float> in(static_cast<std::size_t>(n), 65519.0f);
          std::vector<std::uint16_t> out(in.size());
          EXPECT_TRUE(table->to_f16(in.data(), out.data(), n)) << table->name;
          EXPECT_EQ(out[0], 0x7BFF);
          in[static_cast<std::size_t>(at)] = bad;
          EXPECT_FALSE(table->to_f16(in.data(), out.data(), n)) << table->name << " " << bad << " at " << at;
        }
      }
    }
  }
}

TEST(Half, EveryTargetGivesTheOraclesBits) {
  std::mt19937 random(3);
  std::vector<float> in;
  for (int i = 0; i < 20000; ++i) {
    in.push_back(std::ldexp(std::uniform_real_distribution<float>(-1, 1)(random),
                            std::uniform_int_distribution<int>(-30, 15)(random)));
  }
  for (const KernelTable* table : tables_under_test()) {
    for (const std::size_t n : {0, 1, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 20000}) {
      std::vector<std::uint16_t> expected(n + 1, 0x5555), got(n + 1, 0x5555);
      const auto count = static_cast<std::int64_t>(n);
      ASSERT_TRUE(reference_table().to_f16(in.data(), expected.data(), count));
      ASSERT_TRUE(table->to_f16(in.data(), got.data(), count));
      ASSERT_EQ(got, expected) << table->name << " " << n;
      std::vector<float> back(n + 1, -7), oracle(n + 1, -7);
      table->from_f16(got.data(), back.data(), count);
      reference_table().from_f16(got.data(), oracle.data(), count);
      ASSERT_EQ(back, oracle) << table->name << " " << n;
    }
  }
}

}  // namespace
}  // namespace medsam::kernels
