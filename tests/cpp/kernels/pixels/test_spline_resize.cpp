// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The spline resize against scikit-image's own results (tests/data/make_spline_resize.py), in double and as every table
// gives it, in all row layouts.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <vector>

#include "kernels/pixels/single/spline_resize.hpp"
#include "kernels/support/resize_cases.hpp"

namespace medsam::kernels {
namespace {

using Case = ResizeCase<double>;

std::vector<Case> read_cases() {
  return read_resize_cases<double>(MEDSAM_KERNELS_TEST_DATA "/spline_resize.bin", [](std::ifstream& file, Case& one) {
    read_values(file, one.expected.data(), one.expected.size());
  });
}

constexpr RowLayout kLayouts[] = {RowLayout::dense, RowLayout::padded, RowLayout::bottom_up};

TEST(SplineResize, HasItsCases) { EXPECT_EQ(read_cases().size(), 16U); }

TEST(SplineResize, EqualsSkimageInDouble) {
  for (const Case& c : read_cases()) {
    double size = 0;
    for (const double v : c.expected) size = std::max(size, std::abs(v));
    for (const RowLayout layout : kLayouts) {
      const TestImage image = c.image(layout);
      Carver measured(nullptr);
      make_spline_plan(image.pixels(), c.new_height, c.new_width, measured);
      ScratchMemory memory(measured.used());
      Carver carver(memory.data());
      std::vector<double> got(c.expected.size(), std::nan(""));
      spline_resize(image.pixels(), make_spline_plan(image.pixels(), c.new_height, c.new_width, carver), got.data());
      double worst = 0;
      for (std::size_t i = 0; i < got.size(); ++i) {
        ASSERT_TRUE(std::isfinite(got[i])) << c.name();
        worst = std::max(worst, std::abs(got[i] - c.expected[i]));
      }
      EXPECT_LE(worst, 1e-9 * size) << c.name();
    }
  }
}

/// What a table must give for skimage's value: u8 without its fraction, where a value within 1e-6 of a whole number may
/// also be that number (flat areas: the sums' last bits decide); others as floats, up to one rounding.
bool accepts(PixelType type, double expected, float got) {
  if (type != PixelType::u8) return std::abs(got - expected) <= 1e-7 * std::max(1., std::abs(expected));
  const double nearest = std::nearbyint(expected);
  return got == std::floor(expected) || (got == nearest && std::abs(expected - nearest) < 1e-6);
}

TEST(SplineResize, EveryTableGivesSkimagesPixels) {
  std::size_t turn = 0;
  for (const Case& c : read_cases()) {
    const TestImage image = c.image(kLayouts[turn++ % std::size(kLayouts)]);
    const ResizeNormalizeParams params = raw_params(c.new_height, c.new_width, Interpolation::spline);
    for (const KernelTable* table : available_tables()) {
      const std::vector<float> got = run_resize(*table, image.pixels(), params);
      std::size_t wrong = 0;
      for (std::int64_t i = 0; i < static_cast<std::int64_t>(c.expected.size()); ++i) {
        const std::int64_t channel = i % c.channels, x = i / c.channels % c.new_width, y = i / c.channels / c.new_width;
        const auto at = static_cast<std::size_t>((channel * params.out_size + y) * params.out_size + x);
        wrong += accepts(c.type, c.expected[static_cast<std::size_t>(i)], got[at]) ? 0 : 1;
      }
      EXPECT_EQ(wrong, 0U) << table->name << " " << c.name();
    }
  }
}

TEST(SplineResize, KeepsTheLevelOfFlatAreas) {
  for (const int level : {0, 1, 77, 200, 255}) {
    TestImage image(PixelType::u8, 300, 170, 3, RowLayout::dense, 1);
    for (std::int64_t y = 0; y < 300; ++y) std::memset(image.row(y), level, 300);  // 100 pixels; then noise
    const ResizeNormalizeParams params = raw_params(64, 64, Interpolation::spline);
    for (const KernelTable* table : available_tables()) {
      const std::vector<float> got = run_resize(*table, image.pixels(), params);
      for (std::size_t y = 0; y < 64; ++y) {
        // 17 columns, 47 pixels, from the noise: the pole's powers have faded.
        const auto row = got.begin() + static_cast<std::ptrdiff_t>(y * 64);
        EXPECT_EQ(std::count(row, row + 20, static_cast<float>(level)), 20) << table->name << " row " << y;
      }
    }
  }
}

}  // namespace
}  // namespace medsam::kernels
