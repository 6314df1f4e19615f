// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// resize_normalize: every table against the oracle, to the bit (compared as values, so that -0 equals 0), at vector
// tails, odd shapes, all layouts and types; the oracle's normalization and padding against their definitions. The
// oracle's resampling is compared with OpenCV in test_opencv.cpp.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/support/tables_under_test.hpp"
#include "kernels/support/test_image.hpp"

namespace medsam::kernels {
namespace {

struct Shape {
  std::int64_t height, width, new_height, new_width;
};

/// Compares all tables for one image over all interpolations; one normalization, to keep sweeps short.
void expect_tables_agree(const TestImage& image, std::int64_t new_height, std::int64_t new_width, Normalize normalize,
                         std::int64_t padding) {
  const Pixels& p = image.pixels();
  for (const Interpolation interpolation : kInterpolations) {
    const ResizeNormalizeParams params = resize_params(new_height, new_width, interpolation, normalize, padding);
    if (refused(p, params)) continue;
    const std::vector<float> expected = run_resize(reference_table(), p, params);
    ASSERT_FALSE(expected.empty());
    for (const KernelTable* table : tables_under_test()) {
      EXPECT_EQ(count_different(run_resize(*table, p, params), expected), 0U)
          << table->name << " " << name_of(p.type) << " " << name_of(interpolation) << " " << p.channels
          << " channels, " << p.height << "x" << p.width << " to " << new_height << "x" << new_width
          << ", normalization " << static_cast<int>(normalize) << ", stride " << p.row_stride;
    }
  }
}

class EveryPixelType : public testing::TestWithParam<PixelType> {};
INSTANTIATE_TEST_SUITE_P(ResizeNormalize, EveryPixelType, testing::ValuesIn(kPixelTypes),
                         [](const auto& type) { return name_of(type.param); });

TEST_P(EveryPixelType, TablesAgreeAtAllTails) {
  std::uint32_t seed = 1;
  for (const std::int64_t in : kTails) {
    for (const std::int64_t out : kTails) {
      for (const int channels : {1, 3}) {
        const RowLayout layout = static_cast<RowLayout>(seed % 3);
        const Normalize normalize = kNormalizations[seed / 3 % 3];
        expect_tables_agree(TestImage(GetParam(), 11, in, channels, layout, seed), 5, out, normalize, 0);
        expect_tables_agree(TestImage(GetParam(), in, 6, channels, layout, seed), out, 9, normalize, 3);
        ++seed;
      }
    }
  }
}

TEST_P(EveryPixelType, TablesAgreeOnEveryLayoutAndNormalization) {
  constexpr Shape kShapes[] = {
      {100, 150, 64, 96},  // area
      {64, 96, 32, 48},    // whole factors, 2 x 2
      {96, 60, 32, 20},    // 3 x 3
      {90, 60, 30, 30},    // 3 x 2
      {37, 53, 64, 91},    // enlarged
      {50, 20, 30, 40},    // one direction enlarged
      {21, 34, 21, 34},    // equal: no resampling
      {1, 1, 9, 5},       {300, 233, 128, 99}, {257, 255, 256, 254}, {300, 7, 256, 6},
  };
  std::uint32_t seed = 100;
  for (const Shape& s : kShapes) {
    for (const int channels : {1, 3}) {
      for (const RowLayout layout : {RowLayout::dense, RowLayout::padded, RowLayout::bottom_up}) {
        const TestImage image(GetParam(), s.height, s.width, channels, layout, seed++);
        expect_tables_agree(image, s.new_height, s.new_width, kNormalizations[seed % 3],
                            static_cast<std::int64_t>(seed % 4));
      }
    }
  }
}

TEST_P(EveryPixelType, WholeFactorsBeyondExactFloatSumsAgree) {
  // 20 x 20 cells of 16-bit samples exceed 2^24: another path.
  expect_tables_agree(TestImage(GetParam(), 400, 340, 3, RowLayout::padded, 7), 20, 17, Normalize::min_max, 0);
  expect_tables_agree(TestImage(GetParam(), 400, 340, 1, RowLayout::padded, 8), 20, 17, Normalize::min_max, 0);
}

TEST(ResizeNormalize, MinMaxOfU8EqualsFloat64Division) {
  TestImage image(PixelType::u8, 16, 16, 1, RowLayout::dense, 3);
  for (int i = 0; i < 256; ++i) image.row(i / 16)[i % 16] = static_cast<std::byte>(i);
  for (int lo : {0, 1, 17, 100}) {
    for (int hi : {101, 200, 254, 255}) {
      for (int i = 0; i < 256; ++i) image.row(i / 16)[i % 16] = static_cast<std::byte>(std::clamp(i, lo, hi));
      const auto out =
          run_resize(reference_table(), image.pixels(), resize_params(16, 16, Interpolation::area, Normalize::min_max));
      for (int i = 0; i < 256; ++i) {
        const double expected = static_cast<double>(std::clamp(i, lo, hi) - lo) / static_cast<double>(hi - lo);
        ASSERT_EQ(out[static_cast<std::size_t>(i)], static_cast<float>(expected)) << lo << " " << hi << " " << i;
      }
    }
  }
}

TEST(ResizeNormalize, ConstantImageIsZeroNotNaN) {
  TestImage image(PixelType::i16, 9, 9, 3, RowLayout::dense, 3);
  for (std::int64_t y = 0; y < 9; ++y) std::memset(image.row(y), 0x41, std::size_t{9} * 3 * 2);
  for (const KernelTable* table : tables_under_test()) {
    const auto out = run_resize(*table, image.pixels(), resize_params(4, 4, Interpolation::area, Normalize::min_max));
    EXPECT_EQ(out, std::vector<float>(out.size(), 0.F)) << table->name;
  }
}

TEST(ResizeNormalize, PaddingIsZeroUnlessItTakesPart) {
  TestImage image(PixelType::i16, 2, 2, 1, RowLayout::dense, 1);
  constexpr std::int16_t kValues[4] = {-100, -50, 100, 300};
  std::memcpy(image.row(0), kValues, sizeof kValues);
  for (const KernelTable* table : tables_under_test()) {
    const auto plain =
        run_resize(*table, image.pixels(), resize_params(2, 2, Interpolation::area, Normalize::min_max, 1));
    EXPECT_EQ(plain[2], 0.F);
    EXPECT_EQ(plain[8], 0.F);
    EXPECT_EQ(plain[4], 1.F);
    const auto padded =
        run_resize(*table, image.pixels(), resize_params(2, 2, Interpolation::area, Normalize::min_max_padded, 1));
    EXPECT_EQ(padded[2], 0.25F);
    EXPECT_EQ(padded[8], 0.25F);
  }
  for (int i = 0; i < 4; ++i) image.row(i / 2)[i % 2 * 2 + 1] = std::byte{0x40};  // all far above 0
  const auto high = run_resize(reference_table(), image.pixels(),
                               resize_params(2, 2, Interpolation::area, Normalize::min_max_padded, 1));
  EXPECT_EQ(high[2], 0.F);
  EXPECT_GT(high[0], 0.9F);
}

TEST(ResizeNormalize, GrayFillsThreeEqualPlanes) {
  const TestImage image(PixelType::u8, 30, 40, 1, RowLayout::padded, 2);
  for (const KernelTable* table : tables_under_test()) {
    const auto out = run_resize(*table, image.pixels(), resize_params(12, 16, Interpolation::area, Normalize::min_max));
    const auto plane = static_cast<std::ptrdiff_t>(out.size() / 3);
    EXPECT_TRUE(std::equal(out.begin(), out.begin() + plane, out.begin() + plane));
    EXPECT_TRUE(std::equal(out.begin(), out.begin() + plane, out.begin() + 2 * plane));
  }
}

TEST(ResizeNormalize, NonFiniteSampleIsReportedWhereverItLies) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity()}) {
    for (std::int64_t i = 0; i < std::int64_t{37} * 3; ++i) {
      TestImage image(PixelType::f32, 2, 37, 3, RowLayout::bottom_up, 4);
      std::memcpy(image.row(1) + i * 4, &bad, 4);
      for (const KernelTable* table : tables_under_test()) {
        // Linear by a large factor would never look at most samples.
        EXPECT_TRUE(run_resize(*table, image.pixels(), raw_params(1, 3, Interpolation::linear)).empty()) << table->name;
      }
    }
  }
}

TEST(ResizeNormalize, RangeThatOverflowsIsReported) {
  TestImage image(PixelType::f32, 1, 2, 1, RowLayout::dense, 4);
  constexpr float kEnds[2] = {-std::numeric_limits<float>::max(), std::numeric_limits<float>::max()};
  std::memcpy(image.row(0), kEnds, sizeof kEnds);
  for (const KernelTable* table : tables_under_test()) {
    EXPECT_TRUE(
        run_resize(*table, image.pixels(), resize_params(1, 2, Interpolation::area, Normalize::min_max)).empty());
  }
}

}  // namespace
}  // namespace medsam::kernels
