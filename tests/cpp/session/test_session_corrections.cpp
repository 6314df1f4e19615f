// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What corrections, locks and limits must not do to other voxels.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "support/session_test.hpp"

namespace medsam {
namespace {

TEST_F(SessionTest, WhatTwoObjectsHadBeforeALockStaysWithBoth) {
  const auto made = session();
  std::vector<std::uint8_t> all(voxels_.size(), 1);
  made->add_mask("outer", out(all));
  made->add_box("inner", Box{12, 8, 19, 15}, {0, 3});
  made->lock("inner");
  made->add_box("outer", Box{0, 0, 5, 5}, {0, 6});
  const auto outer = mask_of(*made, "outer"), inner = mask_of(*made, "inner");
  for (std::size_t i = 0; i < inner.size(); ++i) {
    EXPECT_TRUE(inner[i] == 0 || outer[i] == 1) << i;
  }
}

TEST_F(SessionTest, WhatACallReachesInItsTimeHangsTogether) {
  const auto made = session();
  made->add_box("a", Box{8, 4, 31, 19}, {0, 5});
  PropagateOptions none;
  none.first = 0;
  none.seconds = 0;  // one plane is answered: the nearest, which is the key plane itself
  made->propagate("a", none);
  EXPECT_EQ(slices_of(mask_of(*made, "a"), kSlice), std::set<std::int64_t>{5});
}

TEST_F(SessionTest, PlanesBetweenAKeyAndACorrectionBeyondItsReachStay) {
  know_boxes_only();
  const auto made = session();
  made->add_box("a", Box{8, 4, 31, 19}, {0, 1});
  PropagateOptions far;
  far.last = 7;
  made->propagate("a", far);
  made->add_click("a", {20, 12}, true, {0, 6});
  PropagateOptions near;
  near.distance = 0;
  made->propagate("a", near);
  for (const std::int64_t z : {1, 2, 3, 4, 5, 6}) EXPECT_EQ(slices_of(mask_of(*made, "a"), kSlice).count(z), 1u) << z;
}

TEST_F(SessionTest, ALaterCorrectionKeepsWhatAnEarlierOneCarriedToItsPlane) {
  know_boxes_only();
  // The object has 20 columns, its first mask 12 of them.
  std::vector<std::uint8_t> part(voxels_.size());
  for (std::size_t i = 0; i < part.size(); ++i) {
    const auto x = static_cast<std::int64_t>(i) % kWidth, y = static_cast<std::int64_t>(i) / kWidth % kHeight;
    const bool row = y >= 6 && y < 18;
    voxels_[i] = row && x >= 8 && x < 28 ? 200 : 50;
    part[i] = row && x >= 8 && x < 20 ? 1 : 0;
  }
  const auto made = session();
  made->add_mask("a", out(part));
  const auto area = [&](std::int64_t z) {
    const auto mask = mask_of(*made, "a");
    return std::count(mask.begin() + z * kSlice, mask.begin() + (z + 1) * kSlice, 1);
  };
  made->add_click("a", {24, 12}, true, {0, 3});
  made->propagate("a");
  const auto carried = area(4), farther = area(5);
  ASSERT_GT(carried, farther);
  ASSERT_GT(farther, 12 * 12);
  made->add_click("a", {36, 12}, false, {0, 4});  // beside it already
  ASSERT_GE(area(4), carried);
  made->propagate("a");
  EXPECT_GE(area(5), farther) << "what the first click carried to plane 4 belongs to what the second carries on";
}

TEST_F(SessionTest, WeightsThatKnowPointsAnswerThemselves) {
  use_bundle([](nlohmann::json& manifest) { manifest["trained_prompts"] = {{"box"}, {"points"}, {"box", "points"}}; });
  session_options_.spacing_z = session_options_.spacing_x;
  const auto made = session();
  const ImageEmbedding plane =
      engine()->encode({voxels_.data() + 2 * kSlice, PixelType::u8, kHeight, kWidth, 1, kWidth});
  const auto check = [&](const std::string& name, const Prompt& prompt) {
    std::vector<std::uint8_t> expected(static_cast<std::size_t>(kSlice));
    engine()->predict(plane, {prompt}).write_mask(0, 0, {expected.data(), LabelType::u8, kHeight, kWidth, kWidth});
    const std::vector<std::uint8_t> all = mask_of(*made, name);
    EXPECT_EQ(std::vector<std::uint8_t>(all.begin() + 2 * kSlice, all.begin() + 3 * kSlice), expected);
  };
  Prompt prompt;
  prompt.points = {{20, 12, 1}};
  made->add_click("click", {20, 12}, true, {0, 2});
  check("click", prompt);
  prompt.box = Box{8, 4, 31, 19};
  made->add_box("box", *prompt.box, {0, 2});
  made->add_click("box", {20, 12}, true, {0, 2});
  check("box", prompt);
}

TEST_F(SessionTest, WeightsThatKnowMasksGetTheLogitsOfTheAnswerBefore) {
  session_options_.spacing_z = session_options_.spacing_x;
  const auto made = session();
  const ImageEmbedding plane =
      engine()->encode({voxels_.data() + 2 * kSlice, PixelType::u8, kHeight, kWidth, 1, kWidth});
  Prompt prompt;
  prompt.box = Box{8, 4, 31, 19};
  const Prediction first = engine()->predict(plane, {prompt});
  prompt.points = {{20, 12, 1}};
  prompt.mask_input = first.low_res_logits();
  const Prediction second = engine()->predict(plane, {prompt});
  prompt.points.push_back({24, 8, 1});
  prompt.mask_input = second.low_res_logits();
  const Prediction third = engine()->predict(plane, {prompt});
  const auto expect = [&](const Prediction& prediction, const std::string& what) {
    std::vector<std::uint8_t> expected(static_cast<std::size_t>(kSlice));
    prediction.write_mask(0, 0, {expected.data(), LabelType::u8, kHeight, kWidth, kWidth});
    const std::vector<std::uint8_t> all = mask_of(*made, "a");
    EXPECT_EQ(std::vector<std::uint8_t>(all.begin() + 2 * kSlice, all.begin() + 3 * kSlice), expected) << what;
  };
  made->add_box("a", *prompt.box, {0, 2});
  expect(first, "box");
  made->add_click("a", {20, 12}, true, {0, 2});
  expect(second, "click");
  made->add_click("a", {24, 8}, true, {0, 2});
  expect(third, "second click");
  EXPECT_FALSE(std::equal(third.low_res_logits(),
                          third.low_res_logits() + third.low_res_height() * third.low_res_width(),
                          second.low_res_logits()))
      << "or this shows nothing";
}

TEST_F(SessionTest, WhatAClickAsksIsBoundedHoweverManyThereAre) {
  session_options_.spacing_z = session_options_.spacing_x;
  const auto made = session();
  made->add_box("a", Box{8, 4, 31, 19}, {0, 2});
  const auto asked = [&](int clicks) {
    int before = 0;
    for (int i = 0; i < clicks; ++i) {
      before = testing::fake_backend().runs;
      made->add_click("a", {20, 12}, true, {0, 2});
    }
    return testing::fake_backend().runs - before;
  };
  const int third = asked(3), last = asked(60);
  EXPECT_GT(third, 3) << "each answer is handed on, or this shows nothing";
  EXPECT_LT(last, 40);
}

TEST_F(SessionTest, AMaskThatWasGivenIsTheFirstAnswer) {
  session_options_.spacing_z = session_options_.spacing_x;
  const auto made = session();
  std::vector<std::uint8_t> given(voxels_.size());
  for (std::int64_t y = 4; y < 20; ++y) {
    for (std::int64_t x = 8; x < 32; ++x) given[static_cast<std::size_t>(2 * kSlice + y * kWidth + x)] = 1;
  }
  made->add_mask("a", out(given));
  made->add_click("a", {20, 12}, true, {0, 2});
  // A logit is -10 to 10 by the share of its cell that the mask covers.
  const std::int64_t side = engine()->info().mask_shape.at(0);
  std::vector<float> logits(static_cast<std::size_t>(side * side), -10.0F);
  const auto share = [&](std::int64_t i, double cell, double first, double end) {  // of cell i, in the plane's pixels
    const double low = static_cast<double>(i) * cell;
    return std::max(0.0, std::min(end, low + cell) - std::max(first, low)) / cell;
  };
  const std::int64_t rows = 10;  // of the 16 that show a plane of 24 x 40
  const double tall = static_cast<double>(kHeight) / static_cast<double>(rows);
  const double wide = static_cast<double>(kWidth) / static_cast<double>(side);
  for (std::int64_t y = 0; y < rows; ++y) {
    for (std::int64_t x = 0; x < side; ++x) {
      logits[static_cast<std::size_t>(y * side + x)] =
          static_cast<float>(20 * share(x, wide, 8, 32) * share(y, tall, 4, 20) - 10);
    }
  }
  Prompt prompt;
  prompt.points = {{20, 12, 1}};
  prompt.mask_input = logits.data();
  const ImageEmbedding plane =
      engine()->encode({voxels_.data() + 2 * kSlice, PixelType::u8, kHeight, kWidth, 1, kWidth});
  std::vector<std::uint8_t> expected(static_cast<std::size_t>(kSlice));
  engine()->predict(plane, {prompt}).write_mask(0, 0, {expected.data(), LabelType::u8, kHeight, kWidth, kWidth});
  const std::vector<std::uint8_t> all = mask_of(*made, "a");
  EXPECT_EQ(std::vector<std::uint8_t>(all.begin() + 2 * kSlice, all.begin() + 3 * kSlice), expected);
}

TEST_F(SessionTest, AClicksMaskHoldsItsPixel) {
  know_boxes_only();
  const auto made = session();
  for (std::int64_t y = 0; y < kHeight; y += 3) {
    for (std::int64_t x = 0; x < kWidth; x += 3) {
      const std::string name = std::to_string(x) + " " + std::to_string(y);
      made->add_click(name, {static_cast<double>(x), static_cast<double>(y)}, true, {0, 2});
      ASSERT_EQ(mask_of(*made, name)[static_cast<std::size_t>(2 * kSlice + y * kWidth + x)], 1) << name;
    }
  }
}

}  // namespace
}  // namespace medsam
