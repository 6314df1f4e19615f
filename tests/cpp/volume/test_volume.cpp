// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// segment_volume over the tiny model, whose mask is the box it is asked for: what propagates can be followed exactly.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "medsam/error.hpp"
#include "support/engine_test.hpp"

namespace medsam {
namespace {

constexpr std::int64_t kDepth = 12, kHeight = 48, kWidth = 64;
constexpr std::size_t kSlice = static_cast<std::size_t>(kHeight * kWidth);

class VolumeTest : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    voxels_.resize(kSlice * kDepth);
    std::mt19937 random(5);
    for (auto& v : voxels_) v = static_cast<std::uint8_t>(random());
    labels_.assign(voxels_.size(), 777);
  }
  VolumeView volume() const {
    return {voxels_.data(), PixelType::u8, kDepth, kHeight, kWidth, 1, kWidth, static_cast<std::int64_t>(kSlice)};
  }
  LabelVolumeView out() {
    return {labels_.data(), LabelType::u16, kDepth, kHeight, kWidth, kWidth * 2, static_cast<std::int64_t>(kSlice) * 2};
  }
  // The tiny bundle with other volume rules.
  std::string bundle_with(const nlohmann::json& rules) {
    auto manifest = testing::tiny_manifest();
    manifest["profile"]["volume"].update(rules);
    return testing::write_tiny_bundle(folder_.path("rules"), manifest);
  }
  std::set<std::int64_t> slices_of(std::uint16_t label) const {
    std::set<std::int64_t> slices;
    for (std::size_t i = 0; i < labels_.size(); ++i) {
      if (labels_[i] == label) slices.insert(static_cast<std::int64_t>(i / kSlice));
    }
    return slices;
  }

  std::vector<std::uint8_t> voxels_;
  std::vector<std::uint16_t> labels_;
};

TEST_F(VolumeTest, FillsTheBoxAndNothingElse) {
  const Engine engine(bundle_, options_);
  const auto stats = engine.segment_volume(volume(), {{16, 8, 3, 47, 39, 7}}, out());
  ASSERT_EQ(stats.size(), 1u);
  EXPECT_EQ(slices_of(1), (std::set<std::int64_t>{3, 4, 5, 6, 7}));
  EXPECT_EQ(stats[0].voxels, std::count(labels_.begin(), labels_.end(), 1));
  EXPECT_EQ(stats[0].z0, 3);
  EXPECT_EQ(stats[0].z1, 7);
  EXPECT_NEAR(static_cast<double>(stats[0].x0), 16, 4);
  EXPECT_NEAR(static_cast<double>(stats[0].y1), 39, 4);
  EXPECT_EQ(std::count(labels_.begin(), labels_.end(), 777), 0);
}

TEST_F(VolumeTest, TheZRangeIsTheProfiles) {
  Engine(bundle_with({{"z_range", "half_open"}}), options_).segment_volume(volume(), {{0, 0, 3, 40, 40, 7}}, out());
  EXPECT_EQ(slices_of(1), (std::set<std::int64_t>{3, 4, 5, 6}));
  Engine(bundle_with({{"z_range", "open"}}), options_).segment_volume(volume(), {{0, 0, 3, 40, 40, 7}}, out());
  EXPECT_EQ(slices_of(1), (std::set<std::int64_t>{4, 5, 6}));
  Engine(bundle_with({{"z_range", "closed"}}), options_).segment_volume(volume(), {{0, 0, 3, 40, 40, 12}}, out());
  EXPECT_EQ(slices_of(1).count(11), 1u) << "an end of D reaches the last slice";
}

TEST_F(VolumeTest, TheBoxTravelsFromSliceToSlice) {
  // The mask of a box is a little larger or smaller than the box; with a shift it grows on every slice.
  const Engine engine(bundle_with({{"box_shift", 2}}), options_);
  engine.segment_volume(volume(), {{24, 16, 2, 39, 31, 8}}, out());
  const auto area = [&](std::int64_t z) {
    const auto* slice = labels_.data() + static_cast<std::size_t>(z) * kSlice;
    return std::count(slice, slice + kSlice, 1);
  };
  EXPECT_GT(area(6), area(5));
  EXPECT_GT(area(7), area(6));
  EXPECT_EQ(area(4), area(6)) << "both directions start from the middle slice's mask";
  EXPECT_EQ(area(3), area(7));

  const Engine fixed(bundle_with({{"next_box", "user"}}), options_);
  fixed.segment_volume(volume(), {{24, 16, 2, 39, 31, 8}}, out());
  EXPECT_EQ(area(7), area(5));
}

TEST_F(VolumeTest, WithinUserBoxStopsTheGrowth) {
  const Engine engine(bundle_with({{"box_shift", 2}, {"within_user_box", true}}), options_);
  const auto stats = engine.segment_volume(volume(), {{24, 16, 2, 39, 31, 8}}, out());
  const Engine still(bundle_with({{"next_box", "user"}}), options_);
  const auto user = still.segment_volume(volume(), {{24, 16, 2, 39, 31, 8}}, out());
  EXPECT_LE(stats[0].voxels, user[0].voxels);
  EXPECT_GE(stats[0].x0, user[0].x0);
}

TEST_F(VolumeTest, TheLaterBoxWinsWhateverTheOrderOfSlices) {
  const Engine engine(bundle_, options_);
  // Their middles differ, so on slices 5 and 6 object 1 is in its downward sweep when object 2 was there already.
  engine.segment_volume(volume(), {{0, 0, 4, 63, 47, 11}, {0, 0, 2, 63, 47, 6}}, out());
  for (std::int64_t z = 2; z <= 6; ++z) EXPECT_EQ(labels_[static_cast<std::size_t>(z) * kSlice + 100], 2) << z;
  for (std::int64_t z = 7; z <= 11; ++z) EXPECT_EQ(labels_[static_cast<std::size_t>(z) * kSlice + 100], 1) << z;
}

TEST_F(VolumeTest, TheSmallerBoxCanWin) {
  auto manifest = testing::tiny_manifest();
  manifest["profile"]["mask"]["overlap"] = "smaller_box";
  const Engine engine(testing::write_tiny_bundle(folder_.path("smaller"), manifest), options_);
  engine.segment_volume(volume(), {{20, 16, 3, 40, 32, 6}, {0, 0, 2, 63, 47, 9}}, out());
  EXPECT_EQ(labels_[4 * kSlice + 24 * 64 + 30], 1) << "the inner object is not painted over";
  EXPECT_EQ(labels_[4 * kSlice + 2 * 64 + 2], 2);
  EXPECT_EQ(labels_[8 * kSlice + 24 * 64 + 30], 2);

  std::vector<std::uint16_t> labels;
  const LabelView flat = view(labels);
  engine.segment(image(), {{20, 16, 40, 32}, {0, 0, 63, 47}, {20, 16, 40, 32}}, flat);
  EXPECT_EQ(labels[24 * 64 + 30], 3) << "of equal boxes the later one wins";
  EXPECT_EQ(labels[2], 2);
  EXPECT_EQ(std::count(labels.begin(), labels.end(), 1), 0);
}

TEST_F(VolumeTest, ObjectsDoNotInfluenceEachOther) {
  const Engine engine(bundle_with({{"next_box", "label_map"}, {"label_type", "u8"}, {"box_shift", 1}}), options_);
  std::vector<Box3D> boxes;
  for (int i = 0; i < 20; ++i) boxes.push_back({1.0 * i, 2, i % 5 * 1.0, 20.0 + i, 30, 6.0 + i % 5});
  const auto together = engine.segment_volume(volume(), boxes, out());
  // Label 1's own box depends on its label value only, so alone it is the same object.
  const auto alone = engine.segment_volume(volume(), {boxes[0]}, out());
  EXPECT_EQ(together[0].voxels, alone[0].voxels);
  EXPECT_EQ(together[0].x0, alone[0].x0);
}

TEST_F(VolumeTest, TheResultDoesNotDependOnTheBudget) {
  const std::vector<Box3D> boxes{{3, 4, 0, 40, 30, 11}, {10, 10, 2, 50, 40, 6}, {20, 5, 7, 60, 20, 10}};
  std::vector<std::uint16_t> expected;
  std::uint64_t encodes[3];
  int i = 0;
  for (const std::uint64_t budget : {std::uint64_t{1} << 30, std::uint64_t{3000}, std::uint64_t{0}}) {
    options_.cache_bytes = budget;
    const Engine engine(bundle_, options_);
    engine.segment_volume(volume(), boxes, out());
    EXPECT_LE(engine.cache_stats().bytes, budget);
    encodes[i++] = engine.cache_stats().misses;
    if (expected.empty()) expected = labels_;
    EXPECT_EQ(labels_, expected) << budget;
  }
  EXPECT_EQ(encodes[0], 12u) << "each slice once";
  EXPECT_GT(encodes[1], 12u);
  EXPECT_LT(encodes[1], encodes[2]) << "what fits is kept";
  EXPECT_LE(encodes[2], 24u) << "at most twice";
}

TEST_F(VolumeTest, SlicesNoObjectReachesAreNotEncoded) {
  const Engine engine(bundle_, options_);
  engine.segment_volume(volume(), {{0, 0, 2, 9, 9, 3}, {0, 0, 9, 9, 9, 9}}, out());
  EXPECT_EQ(engine.cache_stats().misses, 3u);
}

TEST_F(VolumeTest, ZeroBoxesGiveAnEmptyVolume) {
  const Engine engine(bundle_, options_);
  EXPECT_TRUE(engine.segment_volume(volume(), {}, out()).empty());
  EXPECT_EQ(std::count(labels_.begin(), labels_.end(), 0), static_cast<std::ptrdiff_t>(labels_.size()));
  EXPECT_EQ(engine.cache_stats().misses, 0u);
}

TEST_F(VolumeTest, ReportsProgressAndCancels) {
  const Engine engine(bundle_, options_);
  VolumeOptions options;
  std::vector<std::int64_t> done;
  options.progress = [&](const VolumeProgress& p) {
    done.push_back(p.done);
    EXPECT_EQ(p.total, 5);
  };
  engine.segment_volume(volume(), {{0, 0, 3, 9, 9, 7}}, out(), options);
  EXPECT_EQ(done, (std::vector<std::int64_t>{1, 2, 3, 4, 5}));
  int asked = 0;
  options.cancelled = [&] { return ++asked > 4; };
  EXPECT_THROW(engine.segment_volume(volume(), {{0, 0, 3, 9, 9, 7}}, out(), options), Cancelled);
}

TEST_F(VolumeTest, AnExceptionOfACallbackPassesThrough) {
  const Engine engine(bundle_, options_);
  VolumeOptions options;
  options.progress = [](const VolumeProgress&) { throw InvalidArgument("mine"); };
  EXPECT_THROW(engine.segment_volume(volume(), {{0, 0, 3, 9, 9, 7}}, out(), options), InvalidArgument);
}

TEST_F(VolumeTest, ChecksEverythingFirst) {
  const Engine engine(bundle_, options_);
  const auto misses = engine.cache_stats().misses;
  EXPECT_THROW(engine.segment_volume(volume(), {{0, 0, 3, 9, 9, 13}}, out()), InvalidArgument);
  LabelVolumeView narrow = out();
  narrow.depth = 11;
  EXPECT_THROW(engine.segment_volume(volume(), {}, narrow), InvalidArgument);
  VolumeView empty = volume();
  empty.depth = 0;
  EXPECT_THROW(engine.segment_volume(empty, {}, out()), InvalidArgument);
  EXPECT_EQ(engine.cache_stats().misses, misses);
}

TEST_F(VolumeTest, BestIouKeepsTheUsersBoxInPlay) {
  // The tiny model rates every box alike, so the propagated one, asked first, wins the tie: the same masks, twice the
  // prompts.
  const Engine plain(bundle_with({{"box_shift", 1}}), options_);
  plain.segment_volume(volume(), {{24, 16, 2, 39, 31, 8}}, out());
  const auto expected = labels_;
  const Engine best(bundle_with({{"box_shift", 1}, {"choice", "best_iou"}}), options_);
  best.segment_volume(volume(), {{24, 16, 2, 39, 31, 8}}, out());
  EXPECT_EQ(labels_, expected);
}

}  // namespace
}  // namespace medsam
