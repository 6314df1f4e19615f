// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// crop_resize against torch's answers (tests/data/crop_resize.bin, by make_crop_resize.py) to 1e-6, which leaves room
// for torch's use of FMAs; and against what can be worked out by hand: equal sizes, a constant, half the size, views.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <memory>
#include <new>
#include <vector>

#include "kernels/pixels/single/crop_resize.hpp"

namespace medsam::kernels {
namespace {

constexpr float kTolerance = 1e-6F;

/// The fixture's crop: make_crop_resize.py, pixels().
std::vector<std::uint8_t> hashed_pixels(std::int64_t count) {
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    pixels[i] = static_cast<std::uint8_t>(static_cast<std::uint32_t>(i * 2654435761U) >> 24U);
  }
  return pixels;
}

Pixels view(const std::vector<std::uint8_t>& pixels, std::int64_t height, std::int64_t width, int channels) {
  return {pixels.data(), PixelType::u8, height, width, channels, width * channels};
}

std::vector<float> run(const Pixels& crop, std::int64_t side) {
  const std::size_t bytes = crop_resize_scratch(crop, side);
  struct Deleter {
    void operator()(std::byte* p) const { ::operator delete[](p, std::align_val_t{64}); }
  };
  const std::unique_ptr<std::byte[], Deleter> scratch(
      static_cast<std::byte*>(::operator new[](bytes, std::align_val_t{64})));
  std::memset(scratch.get(), 0xFF, bytes);  // NaN: nothing may be read before it is written
  std::vector<float> out(static_cast<std::size_t>(3 * side * side), std::nanf(""));
  crop_resize(crop, side, out.data(), scratch.get());
  return out;
}

/// max|a - b|; NaN is far from everything.
float distance(const std::vector<float>& a, const std::vector<float>& b) {
  float worst = a.size() == b.size() ? 0.F : 1.F;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const float d = std::abs(a[i] - b[i]);
    worst = d <= worst ? worst : std::isnan(d) ? 1.F : d;
  }
  return worst;
}

TEST(CropResize, AgreesWithTorch) {
  std::ifstream file(MEDSAM_KERNELS_TEST_DATA "/crop_resize.bin", std::ios::binary);
  ASSERT_TRUE(file.is_open());
  std::int32_t size[4];  // height, width, channels, side
  int cases = 0;
  while (file.read(reinterpret_cast<char*>(size), sizeof size)) {
    std::vector<float> expected(static_cast<std::size_t>(3 * size[3] * size[3]));
    const auto bytes = static_cast<std::streamsize>(expected.size() * sizeof(float));
    ASSERT_TRUE(file.read(reinterpret_cast<char*>(expected.data()), bytes));
    const auto pixels = hashed_pixels(std::int64_t{size[0]} * size[1] * size[2]);
    EXPECT_LE(distance(run(view(pixels, size[0], size[1], size[2]), size[3]), expected), kTolerance)
        << size[0] << "x" << size[1] << ", " << size[2] << " channels, to " << size[3];
    ++cases;
  }
  EXPECT_EQ(cases, 11);
}

TEST(CropResize, EqualSizesChangeNothing) {
  const auto pixels = hashed_pixels(std::int64_t{3} * 17 * 17);
  std::vector<float> expected;
  for (std::size_t c = 0; c < 3; ++c) {
    for (std::size_t i = 0; i < std::size_t{17} * 17; ++i)
      expected.push_back(static_cast<float>(pixels[3 * i + c]) / 255.F);
  }
  EXPECT_EQ(run(view(pixels, 17, 17, 3), 17), expected);
}

TEST(CropResize, AConstantStaysConstant) {
  constexpr std::int64_t kSizes[][2] = {{1, 1}, {1, 64}, {5, 300}, {64, 64}, {999, 2}};
  for (const auto& size : kSizes) {
    const std::vector<std::uint8_t> pixels(static_cast<std::size_t>(size[0] * size[1] * 3), 255);
    const std::vector<float> expected(std::size_t{3} * 64 * 64, 1.F);
    EXPECT_LE(distance(run(view(pixels, size[0], size[1], 3), 64), expected), kTolerance) << size[0] << "x" << size[1];
  }
}

TEST(CropResize, HalfTheSizeIsATriangleOverFourPixels) {
  // Scale 2, so the filter reaches 2 pixels to either side of the middle: weights 1, 3, 3, 1 over 8; at the edge the
  // first is cut off and the rest is 3, 3, 1 over 7.
  const std::vector<std::uint8_t> row = {255, 0, 51, 204, 102, 153, 0, 255};
  std::vector<std::uint8_t> pixels;
  for (int y = 0; y < 8; ++y) pixels.insert(pixels.end(), row.begin(), row.end());
  const auto out = run(view(pixels, 8, 8, 1), 4);
  const float expected[] = {(3 * 1.F + 3 * 0.F + 0.2F) / 7, (0.F + 3 * 0.2F + 3 * 0.8F + 0.4F) / 8,
                            (0.8F + 3 * 0.4F + 3 * 0.6F + 0.F) / 8, (0.6F + 3 * 0.F + 3 * 1.F) / 7};
  for (std::size_t i = 0; i < out.size(); ++i) EXPECT_NEAR(out[i], expected[i % 4], kTolerance) << i;
}

TEST(CropResize, GrayFillsThreePlanesAndStridesAreRead) {
  const auto pixels = hashed_pixels(std::int64_t{20} * 30);
  const std::uint8_t *top = pixels.data() + 127, *bottom = pixels.data() + 427;
  const Pixels crop{top, PixelType::u8, 11, 13, 1, 30};  // rows 4 to 14, columns 7 to 19
  const Pixels flipped{bottom, PixelType::u8, 11, 13, 1, -30};
  std::vector<std::uint8_t> dense, rgb;
  for (std::int64_t y = 0; y < 11; ++y) {
    for (std::int64_t x = 0; x < 13; ++x) dense.push_back(pixels[static_cast<std::size_t>((4 + y) * 30 + 7 + x)]);
  }
  for (const std::uint8_t v : dense) rgb.insert(rgb.end(), 3, v);
  const auto expected = run(view(rgb, 11, 13, 3), 6);
  EXPECT_EQ(run(crop, 6), expected);
  EXPECT_EQ(run(view(dense, 11, 13, 1), 6), expected);
  const auto upside_down = run(flipped, 6);
  for (std::size_t c = 0; c < 3; ++c) {
    for (std::size_t y = 0; y < 6; ++y) {
      for (std::size_t x = 0; x < 6; ++x) {
        EXPECT_NEAR(upside_down[(c * 6 + 5 - y) * 6 + x], expected[(c * 6 + y) * 6 + x], kTolerance);
      }
    }
  }
}

}  // namespace
}  // namespace medsam::kernels
