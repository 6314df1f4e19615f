// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Every setting of a profile's volume rules, on masks small enough to work out by hand.
#include "volume/propagation.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "medsam/error.hpp"

namespace medsam {
namespace {

Box3D z_box(double z0, double z1) { return {0, 0, z0, 9, 9, z1}; }

void expect_range(const SliceRange& range, std::int64_t low, std::int64_t middle, std::int64_t high) {
  EXPECT_EQ(range.low, low);
  EXPECT_EQ(range.middle, middle);
  EXPECT_EQ(range.high, high);
}

TEST(SliceRange, ClosedDoesBothEnds) {
  expect_range(slice_range(z_box(3, 8), 20, ZRange::closed), 3, 5, 8);
  expect_range(slice_range(z_box(4, 4), 20, ZRange::closed), 4, 4, 4);
  expect_range(slice_range(z_box(10, 20), 20, ZRange::closed), 10, 15, 19);  // an end of D is the last slice
}

TEST(SliceRange, HalfOpenLeavesOutTheEnd) {
  expect_range(slice_range(z_box(3, 8), 20, ZRange::half_open), 3, 5, 7);
  expect_range(slice_range(z_box(10, 20), 20, ZRange::half_open), 10, 15, 19);
}

TEST(SliceRange, OfOneSliceWithoutItsEndIsEmptyInBothDirections) {
  for (const ZRange rule : {ZRange::half_open, ZRange::open}) {
    const SliceRange none = slice_range(z_box(4, 4), 20, rule);
    EXPECT_LT(none.high, none.middle);  // upwards from the middle
    EXPECT_GE(none.low, none.middle);   // downwards from below it: these slices were labeled, down to the first
    EXPECT_GT(none.low, none.high);
  }
}

TEST(SliceRange, OpenLeavesOutBothEnds) {
  expect_range(slice_range(z_box(3, 8), 20, ZRange::open), 4, 5, 7);
  expect_range(slice_range(z_box(3, 4), 20, ZRange::open), 3, 3, 3);  // the middle is done even at the end
}

TEST(CheckedBox3D, RefusesWhatIsNoBoxInTheVolume) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_NO_THROW(checked_box3d(z_box(0, 20), 20, 10, 10, 0));
  EXPECT_NO_THROW(checked_box3d({0, 0, 0, 10, 10, 0}, 20, 10, 10, 0));
  for (const Box3D& box : {z_box(5, 4), z_box(-1, 4), z_box(0, 21), z_box(20, 20), z_box(0.5, 4), z_box(nan, 4),
                           Box3D{5, 0, 0, 4, 9, 9}, Box3D{0, 0, 0, 11, 9, 9}, Box3D{0, nan, 0, 9, 9, 9}}) {
    EXPECT_THROW(checked_box3d(box, 20, 10, 10, 0), InvalidArgument) << box.z0 << " " << box.z1;
  }
}

TEST(CheckedBox3D, NamesTheBoxWithAllItsNumbers) {
  for (const Box3D& box : {Box3D{5, 1, 2, 40, 9, 6}, Box3D{5, 1, 2, 9, 9, 60}, Box3D{5, 1, 2, 9, 9, 1}}) {
    try {
      checked_box3d(box, 20, 10, 10, 3);
      FAIL();
    } catch (const InvalidArgument& e) {
      const std::string text = e.what();
      const std::string named = "boxes[3]: got (5, 1, 2, " + std::to_string(static_cast<int>(box.x1)) + ", 9, " +
                                std::to_string(static_cast<int>(box.z1)) + ")";
      EXPECT_EQ(text.find(named), 0u) << text;
    }
  }
}

class NextBoxTest : public ::testing::Test {
 protected:
  // A 64 x 32 image in a 32 x 32 input, prompt frame 32: scale 1/2.
  ImageGeometry geometry_ = image_geometry(32, 64, 32, 32, Fit::longest_side);
  std::vector<std::uint8_t> mask_ = std::vector<std::uint8_t>(64 * 32, 0);
  VolumeRules rules_;

  MaskStats fill(std::int64_t x0, std::int64_t y0, std::int64_t x1, std::int64_t y1, std::uint8_t value = 1) {
    for (std::int64_t y = y0; y <= y1; ++y) {
      for (std::int64_t x = x0; x <= x1; ++x) mask_[static_cast<std::size_t>(y * 64 + x)] = value;
    }
    return {(x1 - x0 + 1) * (y1 - y0 + 1), x0, y0, x1, y1};
  }
  void expect_box(const MaskStats& stats, std::vector<float> expected, BoxRounding rounding = BoxRounding::none) {
    PromptBox next;
    ASSERT_TRUE(next_prompt_box(geometry_, rules_, rounding, view(), stats, next));
    EXPECT_EQ(std::vector<float>(next.corners, next.corners + 4), expected);
  }
  LabelView view() { return {mask_.data(), LabelType::u8, geometry_.height, geometry_.width, geometry_.width}; }
  bool has_box(const MaskStats& stats) {
    PromptBox next;
    return next_prompt_box(geometry_, rules_, BoxRounding::none, view(), stats, next);
  }
};

TEST_F(NextBoxTest, MaskIsTheBoundingBoxAtFullResolution) {
  rules_.next_box = NextBox::mask;
  expect_box(fill(11, 7, 40, 20), {5.5f, 3.5f, 20, 10});
  expect_box({1, 11, 7, 40, 20}, {5, 3, 20, 10}, BoxRounding::truncate);
}

TEST_F(NextBoxTest, TheShiftGrowsTheBoxAndStopsAtTheFrame) {
  rules_.next_box = NextBox::mask;
  rules_.box_shift = 3;
  expect_box(fill(10, 8, 40, 20), {2, 1, 23, 13});
  expect_box(fill(2, 2, 62, 30), {0, 0, 32, 18});  // x1 is clamped to the side itself, as the published scripts do
}

TEST_F(NextBoxTest, AnEmptyMaskGivesNoBox) {
  for (const NextBox next : {NextBox::mask, NextBox::label_map, NextBox::nearest, NextBox::user}) {
    rules_.next_box = next;
    EXPECT_FALSE(has_box({0, 0, 0, -1, -1}));
  }
}

TEST_F(NextBoxTest, UserNeverPropagates) {
  rules_.next_box = NextBox::user;
  EXPECT_FALSE(has_box(fill(10, 8, 40, 20)));
}

TEST_F(NextBoxTest, LabelMapBoxesDependOnTheLabelsValue) {
  rules_.next_box = NextBox::label_map;
  // One pixel of each 2 x 2 block: OpenCV's (sum + 2) >> 2 gives 0 for label 1 and 2 for label 9.
  const auto dots = [&](std::uint8_t label) {
    for (std::size_t y = 8; y < 22; y += 2) mask_[y * 64 + 10] = label;
    return MaskStats{7, 10, 8, 10, 20};
  };
  EXPECT_FALSE(has_box(dots(1))) << "a thin structure of label 1 vanishes: the published scripts' fault";
  expect_box(dots(9), {5, 4, 5, 10});
}

TEST_F(NextBoxTest, AMaskOfAnotherSizeOrTypeIsRefused) {
  rules_.next_box = NextBox::nearest;
  const MaskStats stats = fill(11, 7, 40, 20);
  PromptBox next;
  for (const LabelView& mask :
       {LabelView{mask_.data(), LabelType::u8, 31, 64, 64}, LabelView{mask_.data(), LabelType::u8, 32, 63, 64},
        LabelView{mask_.data(), LabelType::u16, 32, 64, 128}}) {
    EXPECT_THROW(next_prompt_box(geometry_, rules_, BoxRounding::none, mask, stats, next), BackendError);
  }
}

TEST_F(NextBoxTest, LabelMapInU16) {
  rules_.next_box = NextBox::label_map;
  rules_.label_type = LabelType::u16;
  std::vector<std::uint16_t> wide(64 * 32, 0);
  for (std::size_t y = 8; y < 22; ++y) wide[y * 64 + 10] = 300;
  PromptBox next;
  ASSERT_TRUE(next_prompt_box(geometry_, rules_, BoxRounding::none, {wide.data(), LabelType::u16, 32, 64, 128},
                              {14, 10, 8, 10, 21}, next));
  EXPECT_EQ(next.corners[0], 5);
  EXPECT_EQ(next.corners[3], 10);
}

TEST_F(NextBoxTest, NearestSamplesEverySecondPixel) {
  rules_.next_box = NextBox::nearest;
  EXPECT_FALSE(has_box(fill(11, 8, 11, 21))) << "an odd column is not sampled at half size";
  expect_box(fill(10, 8, 11, 21), {5, 4, 5, 10});
}

TEST_F(NextBoxTest, NearestEnlargesASmallMask) {
  geometry_ = image_geometry(8, 16, 32, 32, Fit::stretch);
  mask_.assign(16 * 8, 0);
  mask_[3 * 16 + 5] = 1;  // x 5 of 16 -> 10..11 of 32, y 3 of 8 -> 12..15 of 32
  rules_.next_box = NextBox::nearest;
  expect_box({1, 5, 3, 5, 3}, {10, 12, 11, 15});
}

TEST_F(NextBoxTest, TheInputFrameIsScaledToThePromptFrame) {
  geometry_ = image_geometry(32, 64, 32, 64, Fit::longest_side);
  rules_.next_box = NextBox::nearest;
  expect_box(fill(10, 8, 11, 21), {10, 8, 10, 20});
}

}  // namespace
}  // namespace medsam
