// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The antialiased resize against Pillow's own results (tests/data/make_antialiased_resize.py): equal to the bit, from
// every table, in all row layouts.
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "kernels/support/test_image.hpp"

namespace medsam::kernels {
namespace {

struct Case {
  PixelType type;
  std::int64_t height, width;
  int channels;
  std::int64_t new_height, new_width;
  std::vector<std::byte> pixels;
  std::vector<float> expected;  // (new_height, new_width, channels)

  std::string name() const {
    return std::string(name_of(type)) + " " + std::to_string(height) + "x" + std::to_string(width) + "x" +
           std::to_string(channels) + " to " + std::to_string(new_height) + "x" + std::to_string(new_width);
  }
  /// The pixels in a layout of their own.
  TestImage image(RowLayout layout) const {
    TestImage image(type, height, width, channels, layout, 1);
    const auto row = static_cast<std::size_t>(width * channels) * sample_bytes(type);
    for (std::int64_t y = 0; y < height; ++y)
      std::memcpy(image.row(y), &pixels[static_cast<std::size_t>(y) * row], row);
    return image;
  }
};

template <typename T>
void read(std::ifstream& file, T* out, std::size_t count) {
  file.read(reinterpret_cast<char*>(out), static_cast<std::streamsize>(count * sizeof(T)));
}

std::vector<Case> read_cases() {
  std::ifstream file(MEDSAM_KERNELS_TEST_DATA "/antialiased_resize.bin", std::ios::binary);
  std::vector<Case> cases;
  std::int32_t header[6];
  while (read(file, header, 6), file) {
    Case c{static_cast<PixelType>(header[0]), header[1], header[2], header[3], header[4], header[5], {}, {}};
    c.pixels.resize(static_cast<std::size_t>(c.height * c.width * c.channels) * sample_bytes(c.type));
    c.expected.resize(static_cast<std::size_t>(c.new_height * c.new_width * c.channels));
    read(file, c.pixels.data(), c.pixels.size());
    if (c.type == PixelType::u8) {
      std::vector<std::uint8_t> bytes(c.expected.size());
      read(file, bytes.data(), bytes.size());
      c.expected.assign(bytes.begin(), bytes.end());
    } else {
      read(file, c.expected.data(), c.expected.size());
    }
    cases.push_back(std::move(c));
  }
  return cases;
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
