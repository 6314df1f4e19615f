// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Session over the tiny model, whose mask is the box it is asked for: what each call promises, whatever the algorithms
// behind it answer.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <set>

#include "medsam/error.hpp"
#include "support/raised.hpp"
#include "support/session_test.hpp"

namespace medsam {
namespace {

using testing::raised;

TEST_F(SessionTest, ABoxMakesAnObjectInItsPlaneAlone) {
  const auto made = session();
  const Shown before = shown(*made);
  const VoxelBox changed = made->add_box("liver", Box{8, 4, 23, 15}, {0, 3});
  const Shown after = shown(*made);
  ASSERT_EQ(after.objects.size(), 1u);
  EXPECT_EQ(after.objects[0].name, "liver");
  EXPECT_EQ(after.objects[0].prompts, 1);
  EXPECT_FALSE(after.objects[0].locked);
  EXPECT_GT(after.objects[0].voxels, 0);
  EXPECT_EQ(after.objects[0].box, changed);
  EXPECT_EQ(changed, difference(before, after));
  EXPECT_EQ(slices_of(after.masks.at("liver"), kSlice), std::set<std::int64_t>{3});
  EXPECT_NEAR(static_cast<double>(changed.x0), 8, 3);
  EXPECT_NEAR(static_cast<double>(changed.y1), 15, 3);
}

TEST_F(SessionTest, APlaneOfAnotherAxisIsThatPlane) {
  const auto made = session();
  const VoxelBox y = made->add_box("a", Box{10, 2, 29, 5}, {1, 6});  // x and z
  EXPECT_EQ(y.y0, 6);
  EXPECT_EQ(y.y1, 6);
  EXPECT_NEAR(static_cast<double>(y.x0), 10, 3);
  EXPECT_NEAR(static_cast<double>(y.z1), 5, 2);
  const VoxelBox x = made->add_box("b", Box{4, 1, 19, 6}, {2, 30});  // y and z
  EXPECT_EQ(x.x0, 30);
  EXPECT_EQ(x.x1, 30);
  EXPECT_NEAR(static_cast<double>(x.y0), 4, 3);
  EXPECT_NEAR(static_cast<double>(x.z0), 1, 2);
}

TEST_F(SessionTest, ABoxReplacesWhatThePlaneHad) {
  const auto made = session();
  made->add_box("a", Box{2, 2, 9, 9}, {0, 1});
  made->add_click("a", {5, 5}, true, {0, 1});
  made->add_box("a", Box{2, 2, 9, 9}, {0, 4});
  EXPECT_EQ(made->objects()[0].prompts, 3);
  made->add_box("a", Box{20, 8, 35, 20}, {0, 1});
  EXPECT_EQ(made->objects()[0].prompts, 2) << "those of the other plane stay";
  const auto mask = mask_of(*made, "a");
  EXPECT_EQ(mask[kSlice + 5 * kWidth + 5], 0);
  EXPECT_EQ(mask[4 * kSlice + 5 * kWidth + 5], 1);
}

TEST_F(SessionTest, ABoxRoundTheWholeObjectIsSegmentVolume) {
  const auto made = session();
  const Box3D box{8, 4, 2, 23, 15, 6};
  made->add_box("a", box);
  std::vector<std::uint8_t> labels(voxels_.size(), 7);
  engine()->segment_volume(volume(), {box}, out(labels));
  EXPECT_EQ(mask_of(*made, "a"), labels);
  made->add_box("a", Box{8, 4, 23, 15}, {0, 7});
  EXPECT_EQ(made->objects()[0].prompts, 2);
  made->add_box("a", box);
  EXPECT_EQ(made->objects()[0].prompts, 1) << "it replaces all prompts and the mask";
  EXPECT_EQ(mask_of(*made, "a"), labels);
}

TEST_F(SessionTest, AVolumeBoxAtAnEndOfTheVolumeIsSegmentVolume) {
  use_bundle([](nlohmann::json& manifest) {
    manifest["profile"]["volume"] = {{"z_range", "closed"},
                                     {"follow", "sections"},
                                     {"exponents", {4, 2}},
                                     {"rating_power", 4},
                                     {"smooth_slices", 1}};
  });
  const auto made = session();
  for (const Box3D& box : {Box3D{8, 4, 0, 31, 19, 4}, Box3D{8, 4, 3, 31, 19, 7}, Box3D{8, 4, 0, 31, 19, 7},
                           Box3D{8, 4, 3, 31, 19, 8}, Box3D{8, 4, 2, 31, 19, 5}}) {
    made->add_box("a", box);
    std::vector<std::uint8_t> labels(voxels_.size(), 7);
    engine()->segment_volume(volume(), {box}, out(labels));
    EXPECT_EQ(mask_of(*made, "a"), labels) << box.z0 << " to " << box.z1;
  }
}

TEST_F(SessionTest, AVolumeBoxInThreePlanesIsSegmentVolumeWithTheSessionsSpacing) {
  VolumeOptions how;
  how.profile = "clinical";
  how.planes = VolumePlanes::three;
  session_options_.spacing_z = 1.2;
  constexpr std::int64_t kPlanes = 16, kRows = 12, kArea = kRows * kWidth;  // the same voxels, of another shape
  const VolumeView small{voxels_.data(), PixelType::u8, kPlanes, kRows, kWidth, 1, kWidth, kArea};
  Session flat(engine(), small, session_options_);
  EXPECT_THROW(flat.add_box("a", Box3D{8, 2, 3, 31, 9, 12}, how), InvalidArgument) << "12 rows";
  const VolumeView view{voxels_.data(), PixelType::u8, 20, 16, 24, 1, 24, 384};
  Session made(engine(), view, session_options_);
  const Box3D box{6, 2, 3, 19, 13, 16};
  made.add_box("a", box, how);
  std::vector<std::uint8_t> mask(voxels_.size()), labels(voxels_.size());
  made.mask("a", {mask.data(), LabelType::u8, 20, 16, 24, 24, 384});
  how.spacing_x = how.spacing_y = 1;
  how.spacing_z = 1.2;
  engine()->segment_volume(view, {box}, {labels.data(), LabelType::u8, 20, 16, 24, 24, 384}, how);
  EXPECT_EQ(mask, labels);
  EXPECT_GT(std::count(mask.begin(), mask.end(), 1), 0);
}

TEST_F(SessionTest, AClickFindsTheObjectAndThenCorrectsIt) {
  for (const bool boxes_only : {false, true}) {
    if (boxes_only) know_boxes_only();
    const auto made = session();
    const Shown before = shown(*made);
    const VoxelBox changed = made->add_click("a", {20, 12}, true, {0, 3});
    EXPECT_FALSE(changed.empty());
    EXPECT_EQ(changed, difference(before, shown(*made)));
    EXPECT_EQ(slices_of(mask_of(*made, "a"), kSlice), std::set<std::int64_t>{3});
    made->add_click("a", {20, 12}, false, {0, 3});
    EXPECT_EQ(mask_of(*made, "a")[3 * kSlice + 12 * kWidth + 20], 0) << "a click is a hard seed";
    EXPECT_EQ(made->objects()[0].prompts, 2);
  }
}

TEST_F(SessionTest, AScribbleIsAnsweredInItsPlane) {
  know_boxes_only();
  const auto made = session();
  made->add_scribble("a", {{10, 8}, {20, 8}, {20, 14}}, true, {0, 2});
  EXPECT_EQ(slices_of(mask_of(*made, "a"), kSlice), std::set<std::int64_t>{2});
  made->add_scribble("a", {{10, 8}, {20, 8}}, false, {0, 2});
  const auto mask = mask_of(*made, "a");
  for (std::int64_t x = 10; x <= 20; ++x) EXPECT_EQ(mask[static_cast<std::size_t>(2 * kSlice + 8 * kWidth + x)], 0);
}

TEST_F(SessionTest, TheMaskOfALassoStaysInside) {
  const auto made = session();
  made->add_lasso("a", {{10, 4}, {30, 4}, {20, 20}}, {0, 5});
  const auto mask = mask_of(*made, "a");
  EXPECT_GT(made->objects()[0].voxels, 0);
  for (std::int64_t y = 0; y < kHeight; ++y) {
    for (std::int64_t x = 0; x < kWidth; ++x) {
      if (mask[static_cast<std::size_t>(5 * kSlice + y * kWidth + x)] == 0) continue;
      const double half = 10 * (20.0 - static_cast<double>(y)) / 16;  // of the triangle's row
      EXPECT_GE(y, 4);
      EXPECT_LE(std::abs(static_cast<double>(x) - 20), half + 1.5) << x << ", " << y;
    }
  }
}

TEST_F(SessionTest, ALineGivesTheObjectThatItSpans) {
  const auto made = session();
  const VoxelBox changed = made->add_line("a", {10, 12}, {28, 12}, {0, 1});
  EXPECT_NEAR(static_cast<double>(changed.x0), 10, 4);
  EXPECT_NEAR(static_cast<double>(changed.x1), 28, 4);
  EXPECT_EQ(changed.z0, 1);
}

TEST_F(SessionTest, TheOtherDiameterOfALineIsMeasuredInMillimeters) {
  // 2.5 mm between the rows of a plane of axis 1: half of 15 mm along x is at most 3 rows.
  const auto made = session();
  const VoxelBox along_x = made->add_line("a", {8, 4}, {23, 4}, {1, 7});
  EXPECT_GE(along_x.z0, 1);
  EXPECT_LE(along_x.z1, 7);
  EXPECT_NEAR(static_cast<double>(along_x.x0), 8, 4);
  // Half of 15 mm along z is at most 7.5 columns, and at least 3.75.
  const VoxelBox along_z = made->add_line("b", {20, 1}, {20, 7}, {1, 7});
  EXPECT_LE(along_z.x0, 17);
  EXPECT_GE(along_z.x1, 23);
}

TEST_F(SessionTest, AMaskOfAnyTypeIsTakenAsItIs) {
  const auto made = session();
  std::vector<std::uint8_t> mask(voxels_.size());
  std::mt19937 random(2);
  for (auto& v : mask) v = static_cast<std::uint8_t>(random() % 5 == 0);
  std::vector<std::uint16_t> high(mask.begin(), mask.end());
  std::vector<std::uint32_t> wide(mask.begin(), mask.end());
  for (auto& v : high) v = static_cast<std::uint16_t>(v * 256);  // nonzero above its low byte
  for (auto& v : wide) v = v << 24;
  made->add_mask("a", out(mask));
  made->add_mask("b", out(high));
  made->add_mask("c", out(wide));
  for (const char* name : {"a", "b", "c"}) EXPECT_EQ(mask_of(*made, name), mask) << name;
}

TEST_F(SessionTest, LockedObjectsKeepTheirVoxels) {
  const auto made = session();
  made->add_box("inner", Box{12, 8, 19, 15}, {0, 3});
  made->lock("inner");
  const auto inner = mask_of(*made, "inner");
  made->add_box("outer", Box{0, 0, 39, 23}, {0, 3});
  std::vector<std::uint8_t> all(voxels_.size(), 1);
  const auto check = [&] {
    EXPECT_EQ(mask_of(*made, "inner"), inner);
    const auto outer = mask_of(*made, "outer");
    for (std::size_t i = 0; i < inner.size(); ++i) EXPECT_FALSE(inner[i] != 0 && outer[i] != 0) << i;
  };
  check();
  made->add_mask("outer", out(all));
  check();
  made->add_box("outer", Box3D{0, 0, 0, 39, 23, 7});
  check();
  made->add_box("outer", Box{0, 0, 39, 23}, {0, 2});
  made->propagate("outer");
  check();
  const std::string refused = raised<InvalidArgument>([&] { made->add_box("inner", Box{0, 0, 5, 5}, {0, 3}); });
  EXPECT_NE(refused.find("locked"), std::string::npos) << refused;
  made->lock("inner", false);
  made->add_mask("outer", out(all));
  EXPECT_EQ(mask_of(*made, "outer"), all);
}

TEST_F(SessionTest, LabelsFollowTheRuleOfOverlapAndLockedObjectsFirst) {
  for (const bool smaller : {false, true}) {
    use_bundle(
        [&](nlohmann::json& manifest) { manifest["profile"]["mask"]["overlap"] = smaller ? "smaller_box" : "later"; });
    const auto made = session();
    std::vector<std::uint8_t> few(voxels_.size()), many(voxels_.size());
    std::fill_n(few.begin(), 10, std::uint8_t{1});
    std::fill_n(many.begin(), 20, std::uint8_t{1});
    made->add_mask("few", out(few));
    made->add_mask("many", out(many));
    auto labels = labels_of(*made);
    EXPECT_EQ(labels[0], smaller ? 1 : 2);
    EXPECT_EQ(labels[15], 2);
    EXPECT_EQ(labels[25], 0);
    made->lock(smaller ? "many" : "few");
    labels = labels_of(*made);
    EXPECT_EQ(labels[0], smaller ? 2 : 1) << "a locked object has its voxels";
  }
}

TEST_F(SessionTest, UndoAndRedoGoThroughEveryState) {
  const auto made = session();
  std::vector<Shown> states{shown(*made)};
  std::vector<std::uint8_t> mask(voxels_.size());
  mask[100] = 1;
  const std::vector<std::function<void()>> calls{
      [&] {
        made->add_box("a", Box{8, 4, 23, 15}, {0, 3});
      },
      [&] {
        made->add_click("a", {9, 9}, false, {0, 3});
      },
      [&] { made->add_mask("b", out(mask)); },
      [&] { made->lock("b"); },
      [&] { made->propagate("a"); },
      [&] { made->remove("a"); },
      [&] { made->reset(); },
  };
  for (const auto& call : calls) {
    call();
    states.push_back(shown(*made));
  }
  EXPECT_EQ(made->undo_steps(), static_cast<std::int64_t>(calls.size()));
  for (std::size_t i = calls.size(); i > 0; --i) {
    EXPECT_EQ(made->undo(), difference(states[i], states[i - 1])) << i;
    EXPECT_EQ(shown(*made), states[i - 1]) << i;
  }
  EXPECT_TRUE(made->undo().empty());
  EXPECT_EQ(made->redo_steps(), static_cast<std::int64_t>(calls.size()));
  for (std::size_t i = 1; i <= calls.size(); ++i) {
    EXPECT_EQ(made->redo(), difference(states[i - 1], states[i])) << i;
    EXPECT_EQ(shown(*made), states[i]) << i;
  }
  EXPECT_TRUE(made->redo().empty());
  made->undo();
  made->add_box("c", Box{1, 1, 5, 5}, {0, 0});
  EXPECT_EQ(made->redo_steps(), 0) << "a new step ends what was taken back";
}

TEST_F(SessionTest, WhatChangesNothingIsNoStep) {
  const auto made = session();
  EXPECT_TRUE(made->reset().empty());
  EXPECT_EQ(made->undo_steps(), 0);
  made->add_box("a", Box{8, 4, 23, 15}, {0, 3});
  made->lock("a", false);
  EXPECT_EQ(made->undo_steps(), 1);
}

TEST_F(SessionTest, AnImageIsAVolumeOfOneSlice) {
  std::vector<std::uint8_t> rgb(static_cast<std::size_t>(kSlice) * 3, 10);
  rgb[5] = 200;
  Session made(engine(), {rgb.data(), PixelType::u8, 1, kHeight, kWidth, 3, kWidth * 3, kSlice * 3}, session_options_);
  const VoxelBox changed = made.add_box("a", Box{8, 4, 23, 15});
  EXPECT_FALSE(changed.empty());
  EXPECT_NE(raised<InvalidArgument>([&] {
              made.add_box("a", Box{8, 4, 23, 15}, {0, 1});
            }).find("plane"),
            std::string::npos);
}

TEST_F(SessionTest, TheOneSliceOfAnImageIsPropagatedToNothing) {
  Session made(engine(), {voxels_.data(), PixelType::u8, 1, kHeight, kWidth, 1, kWidth, kSlice}, session_options_);
  made.add_box("a", Box{8, 4, 23, 15});
  EXPECT_TRUE(made.propagate("a").empty());
}

TEST_F(SessionTest, ThePixelsAreItsOwn) {
  const auto made = session();
  auto kept = voxels_;
  const auto again = session();
  std::fill(voxels_.begin(), voxels_.end(), std::uint8_t{0});
  made->add_click("a", {20, 12}, true, {0, 3});
  voxels_ = kept;
  again->add_click("a", {20, 12}, true, {0, 3});
  EXPECT_EQ(shown(*made), shown(*again));
}

TEST_F(SessionTest, KeepsItsEngine) {
  auto held = engine();
  const auto made = session();
  engine_.reset();
  held.reset();
  EXPECT_FALSE(made->add_box("a", Box{8, 4, 23, 15}, {0, 3}).empty());
}

}  // namespace
}  // namespace medsam
