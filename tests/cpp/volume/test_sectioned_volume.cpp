// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// segment_volume by sections, over the tiny model, whose mask is the box it is asked for.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "medsam/error.hpp"
#include "support/engine_test.hpp"

namespace medsam {
namespace {

constexpr std::int64_t kDepth = 12, kHeight = 48, kWidth = 64, kSlice = kHeight * kWidth;

class SectionedVolumeTest : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    voxels_.resize(static_cast<std::size_t>(kSlice * kDepth));
    std::mt19937 random(5);
    for (auto& v : voxels_) v = static_cast<std::uint8_t>(random());
    auto manifest = testing::tiny_manifest();
    manifest["profile"]["volume"] = {{"z_range", "closed"},
                                     {"follow", "sections"},
                                     {"exponents", {4, 2}},
                                     {"rating_power", 4},
                                     {"smooth_slices", 1}};
    bundle_ = testing::write_tiny_bundle(folder_.path("sections"), manifest);
  }
  [[nodiscard]] VolumeView volume() const {
    return {voxels_.data(), PixelType::u8, kDepth, kHeight, kWidth, 1, kWidth, kSlice};
  }
  LabelVolumeView out() {
    labels_.assign(voxels_.size(), 777);
    return {labels_.data(), LabelType::u16, kDepth, kHeight, kWidth, kWidth * 2, kSlice * 2};
  }
  /// Voxels of a label, by slice.
  [[nodiscard]] std::map<std::int64_t, std::int64_t> areas(std::uint16_t label) const {
    std::map<std::int64_t, std::int64_t> found;
    for (std::size_t i = 0; i < labels_.size(); ++i) {
      if (labels_[i] == label) ++found[static_cast<std::int64_t>(i) / kSlice];
    }
    return found;
  }

  std::vector<std::uint8_t> voxels_;
  std::vector<std::uint16_t> labels_;
};

TEST_F(SectionedVolumeTest, AnObjectIsWidestInTheMiddleAndTheSameUpsideDown) {
  const Engine engine(bundle_, options_);
  const auto stats = engine.segment_volume(volume(), {{16, 8, 2, 47, 39, 8}}, out());
  const auto found = areas(1);
  ASSERT_EQ(found.size(), 7u);
  for (const std::int64_t d : {1, 2, 3}) {
    EXPECT_LE(found.at(5 + d), found.at(5 + d - 1));
    EXPECT_EQ(found.at(5 + d), found.at(5 - d));
  }
  EXPECT_LT(found.at(8), found.at(5));
  EXPECT_EQ(stats[0].voxels, std::count(labels_.begin(), labels_.end(), 1));
  EXPECT_EQ(std::make_pair(stats[0].z0, stats[0].z1), std::make_pair(std::int64_t{2}, std::int64_t{8}));
  EXPECT_EQ(std::count(labels_.begin(), labels_.end(), 777), 0);
}

TEST_F(SectionedVolumeTest, WhereTheVolumeEndsTheObjectMayGoOn) {
  const Engine engine(bundle_, options_);
  engine.segment_volume(volume(), {{16, 8, 0, 47, 39, 6}}, out());
  const auto found = areas(1);
  EXPECT_EQ(found.at(0), found.at(3)) << "not rounded off at the volume's end";
  EXPECT_LT(found.at(6), found.at(3));
}

TEST_F(SectionedVolumeTest, OneSliceIsTheImagesAnswer) {
  const Engine engine(bundle_, options_);
  engine.segment_volume(volume(), {{16, 8, 4, 47, 39, 4}}, out());
  std::vector<std::uint16_t> image(static_cast<std::size_t>(kSlice));
  engine.segment({voxels_.data() + 4 * kSlice, PixelType::u8, kHeight, kWidth, 1, kWidth}, {{16, 8, 47, 39}},
                 {image.data(), LabelType::u16, kHeight, kWidth, kWidth * 2});
  EXPECT_TRUE(std::equal(image.begin(), image.end(), labels_.begin() + 4 * kSlice));
  EXPECT_EQ(areas(1).size(), 1u);
}

TEST_F(SectionedVolumeTest, ObjectsDoNotTouchOneAnother) {
  const Engine engine(bundle_, options_);
  const std::vector<Box3D> boxes = {{2, 2, 0, 20, 20, 5}, {30, 4, 3, 60, 40, 11}, {10, 25, 4, 20, 45, 4}};
  engine.segment_volume(volume(), boxes, out());
  const std::vector<std::uint16_t> together = labels_;
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    engine.segment_volume(volume(), {boxes[i]}, out());
    for (std::size_t v = 0; v < labels_.size(); ++v) ASSERT_EQ(labels_[v] == 1, together[v] == i + 1) << i;
  }
}

TEST_F(SectionedVolumeTest, MoreObjectsThanFitIntoMemoryAreDoneInSweeps) {
  options_.threads = 2;
  const Engine engine(bundle_, options_);
  std::vector<Box3D> boxes;  // 256 MiB hold the logits of about 32 thousand objects of this model on one slice
  for (int i = 0; i < 40000; ++i) {
    const double x = i % 50, y = i / 50 % 40;
    boxes.push_back({x, y, 3, x + 6 + i % 7, y + 6, static_cast<double>(3 + i % 3)});
  }
  std::int64_t visits = 0;
  VolumeOptions options;
  options.progress = [&](const VolumeProgress& p) { visits = p.total; };
  const auto stats = engine.segment_volume(volume(), boxes, out(), options);
  EXPECT_GT(visits, 3) << "slices are visited again";
  for (const std::size_t i : {std::size_t{0}, std::size_t{1234}, std::size_t{39999}}) {
    const auto alone = engine.segment_volume(volume(), {boxes[i]}, out());
    EXPECT_EQ(alone[0].voxels, stats[i].voxels);
    EXPECT_EQ(alone[0].iou, stats[i].iou);
  }
}

TEST_F(SectionedVolumeTest, ACallThatIsCancelledEnds) {
  const Engine engine(bundle_, options_);
  VolumeOptions options;
  int asked = 0;
  options.cancelled = [&] { return ++asked > 4; };
  EXPECT_THROW(engine.segment_volume(volume(), {{16, 8, 2, 47, 39, 8}}, out(), options), Cancelled);
  options.cancelled = nullptr;
  engine.segment_volume(volume(), {{16, 8, 2, 47, 39, 8}}, out(), options);
  EXPECT_EQ(areas(1).size(), 7u);
}

TEST_F(SectionedVolumeTest, RulesThatAreNoneAreRefused) {
  const auto refused = [&](const char* field, const nlohmann::json& value) {
    auto manifest = testing::tiny_manifest();
    manifest["profile"]["volume"] = {{"z_range", "closed"},
                                     {"follow", "sections"},
                                     {"exponents", {4, 2}},
                                     {"rating_power", 4},
                                     {"smooth_slices", 1}};
    manifest["profile"]["volume"][field] = value;
    EXPECT_THROW(Engine(testing::write_tiny_bundle(folder_.path(field), manifest), options_), ModelError)
        << field << " " << value;
  };
  refused("follow", "elsewhere");
  refused("exponents", nlohmann::json::array());
  refused("exponents", {4, 0});
  refused("exponents", {-1});
  refused("rating_power", -1);
  refused("smooth_slices", -1);
  refused("smooth_slices", 1e9);
  refused("box_shift", 3);
}

}  // namespace
}  // namespace medsam
