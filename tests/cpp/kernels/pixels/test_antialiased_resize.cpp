// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The antialiased resize against Pillow's own results (tests/data/make_antialiased_resize.py): equal to the bit, from
// every table, in all row layouts.
#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <vector>

#include "kernels/support/resize_cases.hpp"

namespace medsam::kernels {
namespace {

using Case = ResizeCase<float>;

std::vector<Case> read_cases() {
  return read_resize_cases<float>(MEDSAM_KERNELS_TEST_DATA "/antialiased_resize.bin",
                                  [](std::ifstream& file, Case& one) {
                                    if (one.type == PixelType::u8) {
                                      std::vector<std::uint8_t> bytes(one.expected.size());
                                      read_values(file, bytes.data(), bytes.size());
                                      one.expected.assign(bytes.begin(), bytes.end());
                                    } else {
                                      read_values(file, one.expected.data(), one.expected.size());
                                    }
                                  });
}

constexpr RowLayout kLayouts[] = {RowLayout::dense, RowLayout::padded, RowLayout::bottom_up};

TEST(AntialiasedResize, HasItsCases) { EXPECT_EQ(read_cases().size(), 24U); }

TEST(AntialiasedResize, EveryTableEqualsPillow) {
  for (const Case& c : read_cases()) {
    const ResizeNormalizeParams params = raw_params(c.new_height, c.new_width, Interpolation::antialiased);
    for (const RowLayout layout : kLayouts) {
      const TestImage image = c.image(layout);
      for (const KernelTable* table : available_tables()) {
        const std::vector<float> got = run_resize(*table, image.pixels(), params);
        ASSERT_FALSE(got.empty()) << c.name();
        std::size_t wrong = 0;
        for (std::int64_t i = 0; i < static_cast<std::int64_t>(c.expected.size()); ++i) {
          const std::int64_t channel = i % c.channels, x = i / c.channels % c.new_width;
          const std::int64_t y = i / c.channels / c.new_width;
          const auto at = static_cast<std::size_t>((channel * params.out_size + y) * params.out_size + x);
          wrong += got[at] == c.expected[static_cast<std::size_t>(i)] ? 0 : 1;
        }
        EXPECT_EQ(wrong, 0U) << table->name << " " << c.name();
      }
    }
  }
}

/// The largest sums of fixed point: white stays white however the weights are rounded.
TEST(AntialiasedResize, KeepsTheLevelOfFlatImages) {
  for (const int level : {0, 1, 128, 254, 255}) {
    TestImage image(PixelType::u8, 301, 173, 3, RowLayout::padded, 1);
    for (std::int64_t y = 0; y < 301; ++y) std::memset(image.row(y), level, 173 * 3);
    const ResizeNormalizeParams params = raw_params(64, 64, Interpolation::antialiased);
    const std::vector<float> expected(std::size_t{3} * 64 * 64, static_cast<float>(level));
    for (const KernelTable* table : available_tables()) {
      EXPECT_EQ(count_different(run_resize(*table, image.pixels(), params), expected), 0U) << table->name;
    }
  }
}

}  // namespace
}  // namespace medsam::kernels
