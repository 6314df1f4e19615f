// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "image/geometry.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "medsam/error.hpp"

namespace medsam {
namespace {

TEST(ImageGeometry, RoundsSidesHalfUpAsThePublishedScript) {
  // int(side * 256 / max + 0.5) worked out by hand.
  const ImageGeometry mammogram = image_geometry(2600, 1700, 256, 256, Fit::longest_side);
  EXPECT_EQ(mammogram.new_height, 256);
  EXPECT_EQ(mammogram.new_width, 167);  // 167.38
  const ImageGeometry half = image_geometry(512, 511, 256, 256, Fit::longest_side);
  EXPECT_EQ(half.new_width, 256);  // 255.5 rounds up
  const ImageGeometry up = image_geometry(27, 30, 256, 256, Fit::longest_side);
  EXPECT_EQ(up.new_height, 230);  // 230.4
  EXPECT_EQ(up.new_width, 256);
}

TEST(ImageGeometry, KeepsAtLeastOnePixelOfAThinImage) {
  const ImageGeometry g = image_geometry(1, 5000, 256, 256, Fit::longest_side);
  EXPECT_EQ(g.new_height, 1);
  EXPECT_EQ(g.new_width, 256);
}

TEST(ImageGeometry, StretchScalesEachAxisByItself) {
  const ImageGeometry g = image_geometry(100, 200, 1024, 1024, Fit::stretch);
  EXPECT_EQ(g.new_height, 1024);
  EXPECT_EQ(g.new_width, 1024);
  float xy[2];
  map_point(g, 50, 50, xy);
  EXPECT_FLOAT_EQ(xy[0], 256);
  EXPECT_FLOAT_EQ(xy[1], 512);
}

TEST(MapBox, TruncatesOnlyWhenTheProfileSaysSo) {
  const ImageGeometry g = image_geometry(300, 512, 256, 256, Fit::longest_side);
  float box[4];
  map_box(g, {3, 5, 511, 299}, BoxRounding::truncate, box);
  EXPECT_EQ(box[0], 1);
  EXPECT_EQ(box[1], 2);
  EXPECT_EQ(box[2], 255);
  EXPECT_EQ(box[3], 149);
  map_box(g, {3, 5, 511, 299}, BoxRounding::none, box);
  EXPECT_FLOAT_EQ(box[0], 1.5f);
  EXPECT_FLOAT_EQ(box[3], 149.5f);
  const ImageGeometry third = image_geometry(768, 768, 256, 256, Fit::longest_side);
  map_box(third, {2, 3, 4, 767}, BoxRounding::containing_pixel, box);
  EXPECT_EQ(box[0], 0);  // pixels 0, 1, 2 make pixel 0
  EXPECT_EQ(box[1], 1);
  EXPECT_EQ(box[2], 1);
  EXPECT_EQ(box[3], 255);
  const ImageGeometry up = image_geometry(64, 64, 256, 256, Fit::longest_side);
  map_box(up, {0, 1, 2, 63}, BoxRounding::containing_pixel, box);
  EXPECT_EQ(box[0], 2);  // pixel 0 becomes pixels 0 to 3; its center lies at 2.0
  EXPECT_EQ(box[3], 254);
}

TEST(MapBox, StaysInTheFrameForEveryBoxInTheImage) {
  std::mt19937 random(7);
  for (int i = 0; i < 2000; ++i) {
    const std::int64_t h = std::uniform_int_distribution<std::int64_t>(1, 3000)(random);
    const std::int64_t w = std::uniform_int_distribution<std::int64_t>(1, 3000)(random);
    const ImageGeometry g = image_geometry(h, w, 256, 1024, i % 2 == 0 ? Fit::longest_side : Fit::stretch);
    ASSERT_LE(g.new_height, 256);
    ASSERT_LE(g.new_width, 256);
    float box[4];
    map_box(g, {0, 0, static_cast<double>(w - 1), static_cast<double>(h - 1)}, BoxRounding::none, box);
    ASSERT_LT(box[2], 1024);
    ASSERT_LT(box[3], 1024);
    const UnpaddedSize crop = unpadded_size(g, 256, 256);
    ASSERT_EQ(crop.height, g.new_height);
    ASSERT_EQ(crop.width, g.new_width);
  }
}

TEST(UnpaddedSize, ScalesWithTheMask) {
  const ImageGeometry g = image_geometry(300, 512, 512, 512, Fit::longest_side);
  const UnpaddedSize crop = unpadded_size(g, 256, 256);
  EXPECT_EQ(crop.height, 150);
  EXPECT_EQ(crop.width, 256);
}

TEST(CheckedBox, ClampsAnEndEqualToTheSize) {
  const Box box = checked_box({0, 0, 100, 50}, 50, 100, 0);
  EXPECT_EQ(box.x1, 99);
  EXPECT_EQ(box.y1, 49);
  EXPECT_NO_THROW(checked_box({7, 7, 7, 7}, 50, 100, 0)) << "one pixel is a box: ends are inclusive";
}

TEST(CheckedBox, RefusesWhatIsNotABoxInTheImage) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double inf = std::numeric_limits<double>::infinity();
  for (const Box& box : {Box{nan, 0, 1, 1}, Box{0, 0, inf, 1}, Box{5, 0, 4, 1}, Box{0, 5, 1, 4}, Box{-1, 0, 1, 1},
                         Box{0, 0, 100.5, 1}, Box{0, 0, 1, 51}, Box{99.5, 0, 100, 1}, Box{100, 0, 100, 1}}) {
    EXPECT_THROW(checked_box(box, 50, 100, 0), InvalidArgument)
        << box.x0 << " " << box.y0 << " " << box.x1 << " " << box.y1;
  }
}

TEST(CheckedBox, NamesTheBoxAndTheRange) {
  try {
    checked_box({0, 0, 200, 10}, 50, 100, 3);
    FAIL();
  } catch (const InvalidArgument& e) {
    const std::string text = e.what();
    EXPECT_NE(text.find("boxes[3]: got (0, 0, 200, 10)"), std::string::npos) << text;
    EXPECT_NE(text.find("0 <= x <= 99"), std::string::npos) << text;
  }
}

TEST(CheckPoint, AcceptsPointsInsideAndPadding) {
  EXPECT_NO_THROW(check_point({0, 0, 1}, 50, 100, 0, 0));
  EXPECT_NO_THROW(check_point({99, 49, 0}, 50, 100, 0, 0));
  EXPECT_NO_THROW(check_point({-5, std::nan(""), -1}, 50, 100, 0, 0));
  EXPECT_THROW(check_point({0, 0, 2}, 50, 100, 0, 0), InvalidArgument);
  EXPECT_THROW(check_point({-0.1, 0, 1}, 50, 100, 0, 0), InvalidArgument);
  EXPECT_THROW(check_point({0, std::nan(""), 1}, 50, 100, 0, 0), InvalidArgument);
  EXPECT_THROW(check_point({101, 0, 1}, 50, 100, 0, 0), InvalidArgument);
}

TEST(ImageGeometry, KeepsWhatItWasGivenAndScalesPromptsByTheLongestSide) {
  const ImageGeometry g = image_geometry(30, 60, 256, 512, Fit::longest_side, 0.25);
  EXPECT_EQ(g.height, 30);
  EXPECT_EQ(g.width, 60);
  EXPECT_EQ(g.input_size, 256);
  EXPECT_EQ(g.prompt_frame, 512);
  EXPECT_EQ(g.point_shift, 0.25);
  EXPECT_DOUBLE_EQ(g.prompt_scale_x, 512.0 / 60);
  EXPECT_DOUBLE_EQ(g.prompt_scale_y, 512.0 / 60);
  const ImageGeometry tall = image_geometry(60, 30, 256, 512, Fit::longest_side);
  EXPECT_DOUBLE_EQ(tall.prompt_scale_x, 512.0 / 60);
  EXPECT_EQ(tall.new_height, 256);
  EXPECT_EQ(tall.new_width, 128);
  EXPECT_EQ(tall.point_shift, 0.5);
  const ImageGeometry stretched = image_geometry(30, 60, 256, 512, Fit::stretch, 0.25);
  EXPECT_EQ(stretched.point_shift, 0.25);
  EXPECT_EQ(stretched.prompt_frame, 512);
  EXPECT_DOUBLE_EQ(stretched.prompt_scale_x, 512.0 / 60);
  EXPECT_DOUBLE_EQ(stretched.prompt_scale_y, 512.0 / 30);
}

// The center of pixel p lies at (p + 0.5) * scale; the pixel of the frame that contains it, less what the prompt
// encoder adds, is the coordinate. Each axis has its own scale.
TEST(MapBox, TheContainingPixelIsOfEachAxisAndLessTheEncodersShift) {
  const ImageGeometry g = image_geometry(50, 100, 200, 200, Fit::stretch, 0.25);  // x: 2, y: 4
  float box[4];
  map_box(g, {1, 2, 7, 9}, BoxRounding::containing_pixel, box);
  EXPECT_EQ(box[0], 3.25f);
  EXPECT_EQ(box[1], 10.25f);
  EXPECT_EQ(box[2], 15.25f);
  EXPECT_EQ(box[3], 38.25f);
  map_box(g, {1, 2, 7, 9}, BoxRounding::none, box);
  EXPECT_EQ(box[0], 2);
  EXPECT_EQ(box[1], 8);
  EXPECT_EQ(box[2], 14);
  EXPECT_EQ(box[3], 36);
}

TEST(UnpaddedSize, RoundsHalfUpAndIsAtLeastOnePixel) {
  ImageGeometry g = image_geometry(100, 100, 100, 100, Fit::longest_side);
  g.new_height = 25;  // of 100, in masks of 10: 2.5
  g.new_width = 24;   // in masks of 20: 4.8
  EXPECT_EQ(unpadded_size(g, 10, 20).height, 3);
  EXPECT_EQ(unpadded_size(g, 10, 20).width, 5);
  g.new_height = 24;  // 2.4
  g.new_width = 1;    // 0.2
  EXPECT_EQ(unpadded_size(g, 10, 20).height, 2);
  EXPECT_EQ(unpadded_size(g, 10, 20).width, 1);
  g.new_height = 100;
  EXPECT_EQ(unpadded_size(g, 10, 20).height, 10);
}

TEST(CheckedBox, EachEndHasItsOwnLimit) {
  const auto same = [](const Box& given, const Box& expected) {
    const Box box = checked_box(given, 50, 100, 0);
    return box.x0 == expected.x0 && box.y0 == expected.y0 && box.x1 == expected.x1 && box.y1 == expected.y1;
  };
  EXPECT_TRUE(same({1, 2, 30, 40}, {1, 2, 30, 40}));
  EXPECT_TRUE(same({99, 49, 99, 49}, {99, 49, 99, 49})) << "the last pixel";
  EXPECT_TRUE(same({99, 49, 100, 50}, {99, 49, 99, 49}));
  EXPECT_TRUE(same({0, 0, 98.5, 48.5}, {0, 0, 98.5, 48.5}));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const Box& box : {Box{0, nan, 1, 1}, Box{0, 0, nan, 1}, Box{0, 0, 1, nan}, Box{0, -1, 1, 1}, Box{-0.5, 0, 1, 1},
                         Box{0, 49.5, 1, 50}, Box{0, 0, 100.25, 1}, Box{0, 0, 1, 50.25}, Box{60, 0, 59.5, 1},
                         Box{0, 60, 1, 70}, Box{0, 30, 1, 29.5}}) {
    EXPECT_THROW(checked_box(box, 50, 100, 0), InvalidArgument)
        << box.x0 << " " << box.y0 << " " << box.x1 << " " << box.y1;
  }
}

TEST(CheckPoint, EachAxisHasItsOwnLimit) {
  EXPECT_NO_THROW(check_point({99.9, 49.9, 1}, 50, 100, 0, 0));
  for (const Point& point : {Point{100, 0, 1}, Point{0, 50, 1}, Point{0, -0.1, 1}, Point{60, 60, 0}, Point{0, 0, -2}}) {
    EXPECT_THROW(check_point(point, 50, 100, 0, 0), InvalidArgument) << point.x << " " << point.y;
  }
}

void expect_pixels(const PixelBox& box, std::int64_t x0, std::int64_t y0, std::int64_t x1, std::int64_t y1) {
  EXPECT_EQ(box.x0, x0);
  EXPECT_EQ(box.y0, y0);
  EXPECT_EQ(box.x1, x1);
  EXPECT_EQ(box.y1, y1);
}

TEST(PixelBox, LeavesOutTheLastRowAndColumnButHasAPixel) {
  expect_pixels(pixel_box({1.9, 2.9, 30.9, 40.9}), 1, 2, 30, 40);
  expect_pixels(pixel_box({5, 7, 5, 7}), 5, 7, 6, 8);
  expect_pixels(pixel_box({5, 7, 5.9, 9}), 5, 7, 6, 9);
}

TEST(PixelBox, OfAMaskGrowsOnEachSideWithinTheImage) {
  MaskStats mask;
  mask.x0 = 10, mask.y0 = 20, mask.x1 = 30, mask.y1 = 25;
  expect_pixels(grown_pixel_box(mask, 3, 50, 100), 7, 17, 33, 28);
  expect_pixels(grown_pixel_box(mask, 15, 50, 100), 0, 5, 45, 40);
  expect_pixels(grown_pixel_box(mask, 22, 40, 50), 0, 0, 50, 40);
  expect_pixels(grown_pixel_box(mask, 0, 50, 100), 10, 20, 30, 25);
  mask.x1 = 10, mask.y1 = 20;  // one pixel
  expect_pixels(grown_pixel_box(mask, 0, 50, 100), 10, 20, 11, 21);
}

}  // namespace
}  // namespace medsam
