// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The kernels that only the GPU's table has, against the host's own code, to the bit.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "kernels/pixels/single/square_upsample.hpp"
#include "kernels/support/tables_under_test.hpp"

namespace medsam::kernels {
namespace {

std::vector<float> noise(std::int64_t n) {
  std::mt19937 random(static_cast<std::uint32_t>(n));
  std::normal_distribution<float> normal(0.F, 7.F);
  std::vector<float> values(static_cast<std::size_t>(n));
  for (float& v : values) v = normal(random);
  return values;
}

TEST(CudaOnly, OneValueThatIsNotFiniteIsSeenWhereverItLies) {
  constexpr float kMax = std::numeric_limits<float>::max(), kInf = std::numeric_limits<float>::infinity();
  for (const CudaOnly& table : cuda_only_under_test()) {
    for (const std::int64_t n : {1, 2, 31, 32, 33, 255, 257, 5000}) {
      std::vector<float> values(static_cast<std::size_t>(n), -kMax);
      EXPECT_TRUE(table.all_finite(values.data(), n)) << table.name << " " << n;
      for (const float bad : {kInf, -kInf, std::nanf("")}) {
        for (const std::int64_t at : {std::int64_t{0}, n / 2, n - 1}) {
          values[static_cast<std::size_t>(at)] = bad;
          EXPECT_FALSE(table.all_finite(values.data(), n)) << table.name << " " << n << " " << at;
          values[static_cast<std::size_t>(at)] = 1e-42F;
        }
      }
    }
  }
}

TEST(CudaOnly, SquaresAreThoseOfTheHost) {
  struct Case {
    std::int64_t height, width, side;
  };
  for (const Case& c : {Case{1, 1, 1}, {1, 1, 7}, {2, 3, 9}, {16, 16, 33}, {7, 5, 3}, {64, 64, 64}, {40, 31, 150}}) {
    const std::vector<float> in = noise(c.height * c.width);
    const auto size = static_cast<std::size_t>(c.side * c.side);
    std::vector<float> expected(size), got(size, std::nanf(""));
    upsample_square({in.data(), c.width, c.height, c.width, c.side, c.side, c.side, expected.data()});
    for (const CudaOnly& table : cuda_only_under_test()) {
      table.upsample_square(in.data(), c.height, c.width, c.side, got.data());
      EXPECT_EQ(got, expected) << table.name << " " << c.height << " " << c.width << " " << c.side;
    }
  }
}

TEST(CudaOnly, ASquareOfTheSameSideIsTheMapItself) {
  const std::vector<float> in = noise(25);
  std::vector<float> out(in.size());
  upsample_square({in.data(), 5, 5, 5, 5, 5, 5, out.data()});
  EXPECT_EQ(out, in);
}

}  // namespace
}  // namespace medsam::kernels
