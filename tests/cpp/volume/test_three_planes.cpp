// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// segment_volume in three planes, over the tiny model, whose mask is the box it is asked for.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "medsam/error.hpp"
#include "support/engine_test.hpp"
#include "support/raised.hpp"

namespace medsam {
namespace {

constexpr std::int64_t kDepth = 24, kHeight = 32, kWidth = 40, kSlice = kHeight * kWidth;

class ThreePlanesTest : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    voxels_.resize(static_cast<std::size_t>(kSlice * kDepth));
    std::mt19937 random(5);
    for (auto& v : voxels_) v = static_cast<std::uint8_t>(random());
    three_.planes = VolumePlanes::three;
    three_.spacing_x = 1;
    three_.spacing_y = 1.1;
    three_.spacing_z = 1.4;
    bundle_ = bundle_with("closed");
  }
  std::string bundle_with(const std::string& range) {
    auto manifest = testing::tiny_manifest();
    manifest["profile"]["mask"]["overlap"] = "smaller_box";
    manifest["profile"]["volume"] = {
        {"z_range", range}, {"follow", "sections"}, {"exponents", {4, 2}}, {"rating_power", 4}, {"smooth_slices", 1}};
    return testing::write_tiny_bundle(folder_.path("three " + range), manifest);
  }
  [[nodiscard]] VolumeView volume() const {
    return {voxels_.data(), PixelType::u8, kDepth, kHeight, kWidth, 1, kWidth, kSlice};
  }
  LabelVolumeView out() {
    labels_.assign(voxels_.size(), 777);
    return {labels_.data(), LabelType::u16, kDepth, kHeight, kWidth, kWidth * 2, kSlice * 2};
  }
  [[nodiscard]] std::uint16_t at(std::int64_t z, std::int64_t y, std::int64_t x) const {
    return labels_[static_cast<std::size_t>(z * kSlice + y * kWidth + x)];
  }

  std::vector<std::uint8_t> voxels_;
  std::vector<std::uint16_t> labels_;
  VolumeOptions three_;
};

TEST_F(ThreePlanesTest, AnObjectIsRoundedOffAlongEveryAxisAndStaysInItsBox) {
  const Engine engine(bundle_, options_);
  const Box3D box{8, 6, 4, 31, 25, 19};
  const auto stats = engine.segment_volume(volume(), {box}, out(), three_);
  std::int64_t voxels = 0;
  for (std::int64_t z = 0; z < kDepth; ++z) {
    for (std::int64_t y = 0; y < kHeight; ++y) {
      for (std::int64_t x = 0; x < kWidth; ++x) {
        if (at(z, y, x) == 0) continue;
        ASSERT_EQ(at(z, y, x), 1);
        ASSERT_TRUE(z >= 4 && z <= 19 && y >= 6 && y <= 25 && x >= 8 && x <= 31) << z << " " << y << " " << x;
        ++voxels;
      }
    }
  }
  EXPECT_EQ(stats[0].voxels, voxels);
  EXPECT_GT(voxels, 16 * 20 * 24 / 2);
  for (const std::int64_t z : {4, 19}) {
    for (const std::int64_t y : {6, 25}) EXPECT_EQ(at(z, y, 8), 0) << "a corner belongs to no solid";
  }
  EXPECT_EQ(at(12, 15, 20), 1);
  EXPECT_TRUE(std::isfinite(stats[0].iou));
  const auto slices = engine.segment_volume(volume(), {box}, out());
  EXPECT_NE(slices[0].voxels, voxels) << "or this shows nothing";
}

TEST_F(ThreePlanesTest, PlanesAcrossReadTheVolume) {
  const Engine engine(bundle_, options_);
  const std::vector<Box3D> boxes = {{8, 6, 4, 31, 25, 19}};
  const auto first = engine.segment_volume(volume(), boxes, out(), three_);
  // A slice that the box does not reach is part of the planes across.
  for (std::int64_t i = 0; i < kSlice; ++i) voxels_[static_cast<std::size_t>(22 * kSlice + i)] = 255;
  const auto second = engine.segment_volume(volume(), boxes, out(), three_);
  EXPECT_NE(first[0].iou, second[0].iou);
  const auto slices = engine.segment_volume(volume(), boxes, out());
  for (std::int64_t i = 0; i < kSlice; ++i) voxels_[static_cast<std::size_t>(22 * kSlice + i)] = 0;
  EXPECT_EQ(engine.segment_volume(volume(), boxes, out())[0].iou, slices[0].iou);
}

TEST_F(ThreePlanesTest, ObjectsDoNotTouchOneAnotherAndTheSmallerBoxWins) {
  const Engine engine(bundle_, options_);
  const std::vector<Box3D> boxes = {{8, 6, 4, 31, 25, 19}, {14, 10, 8, 24, 20, 15}, {2, 2, 0, 9, 9, 23}};
  const auto stats = engine.segment_volume(volume(), boxes, out(), three_);
  const std::vector<std::uint16_t> together = labels_;
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    const auto alone = engine.segment_volume(volume(), {boxes[i]}, out(), three_);
    EXPECT_EQ(alone[0].voxels, stats[i].voxels);
    EXPECT_EQ(alone[0].iou, stats[i].iou);
    if (i != 1) continue;
    for (std::size_t v = 0; v < labels_.size(); ++v) ASSERT_EQ(labels_[v] == 1, together[v] == 2);
  }
}

TEST_F(ThreePlanesTest, TheSlicesThatAProfileLeavesOutStayEmpty) {
  const Engine engine(bundle_with("open"), options_);
  const auto stats = engine.segment_volume(volume(), {{8, 6, 4, 31, 25, 19}}, out(), three_);
  EXPECT_EQ(std::make_pair(stats[0].z0, stats[0].z1), std::make_pair(std::int64_t{5}, std::int64_t{18}));
  const auto none = engine.segment_volume(volume(), {{8, 6, 4, 31, 25, 4}}, out(), three_);
  EXPECT_EQ(none[0].voxels, 0);
  EXPECT_EQ(std::count(labels_.begin(), labels_.end(), 0), kDepth * kSlice);
}

TEST_F(ThreePlanesTest, SlicesAloneDoNotAskForTheSpacing) {
  const Engine engine(bundle_, options_);
  engine.segment_volume(volume(), {{8, 6, 4, 31, 25, 19}}, out());
  const std::vector<std::uint16_t> expected = labels_;
  three_.planes = VolumePlanes::slices;
  engine.segment_volume(volume(), {{8, 6, 4, 31, 25, 19}}, out(), three_);
  EXPECT_EQ(labels_, expected);
}

TEST_F(ThreePlanesTest, ProgressIsOfAllSweepsAndACallIsCancelledInAnyOfThem) {
  const Engine engine(bundle_, options_);
  std::int64_t done = 0, total = 0;
  three_.progress = [&](const VolumeProgress& p) {
    EXPECT_EQ(p.done, ++done);
    total = p.total;
  };
  engine.segment_volume(volume(), {{8, 6, 4, 31, 25, 19}}, out(), three_);
  EXPECT_EQ(total, 16 + 20 + 24);
  EXPECT_EQ(done, total);
  three_.progress = [&](const VolumeProgress& p) { done = p.done; };
  three_.cancelled = [&] { return done >= 30 && done < 60; };
  done = 0;
  EXPECT_THROW(engine.segment_volume(volume(), {{8, 6, 4, 31, 25, 19}}, out(), three_), Cancelled);
  EXPECT_EQ(done, 30);
}

TEST_F(ThreePlanesTest, ObjectsInSeveralPartsAreThoseOfOne) {
  // Sums of the first 2184 boxes of the whole volume have 256 MiB, so that the small one comes in another part.
  const Engine engine(bundle_, options_);
  const Box3D whole{0, 0, 0, kWidth - 1, kHeight - 1, kDepth - 1}, small{8, 6, 4, 31, 25, 19};
  engine.segment_volume(volume(), {whole, small}, out(), three_);
  std::vector<std::uint16_t> expected = labels_;
  std::vector<Box3D> boxes(2185, whole);
  boxes.push_back(small);
  std::int64_t done = 0;
  three_.progress = [&](const VolumeProgress& p) {
    EXPECT_EQ(p.done, ++done);
    EXPECT_EQ(p.total, 2 * (kDepth + kHeight + kWidth)) << "of all parts, from the first on";
  };
  engine.segment_volume(volume(), boxes, out(), three_);
  EXPECT_EQ(done, 2 * (kDepth + kHeight + kWidth));
  for (std::size_t i = 0; i < labels_.size(); ++i) {
    ASSERT_EQ(labels_[i] == boxes.size(), expected[i] == 2) << i;
    ASSERT_EQ(labels_[i] == 0, expected[i] == 0) << i;
  }
}

TEST_F(ThreePlanesTest, WhatIsNotNearlyACubeIsRefused) {
  const Engine engine(bundle_, options_);
  const auto refused = [&](const std::function<void(VolumeOptions&, VolumeView&)>& change, const std::string& text) {
    VolumeOptions options = three_;
    VolumeView view = volume();
    change(options, view);
    LabelVolumeView labels = out();
    labels.depth = view.depth;
    const std::string message = testing::raised<InvalidArgument>([&] {
      engine.segment_volume(view, {{8, 6, 4, 31, 25, 9}}, labels, options);
    });
    EXPECT_NE(message.find(text), std::string::npos) << message;
    EXPECT_EQ(labels_[0], 777) << "nothing was written";
  };
  refused([](VolumeOptions& o, VolumeView&) { o.spacing_x = o.spacing_y = o.spacing_z = 0; }, "without the spacing");
  refused([](VolumeOptions& o, VolumeView&) { o.spacing_z = 0; }, "along z");
  refused([](VolumeOptions& o, VolumeView&) { o.spacing_y = std::nan(""); }, "along y");
  refused([](VolumeOptions& o, VolumeView&) { o.spacing_z = 1.51; }, "1 x 1.1 x 1.51 mm");
  refused([](VolumeOptions&, VolumeView& v) { v.depth = 15; }, "15 x 32 x 40 voxels");
  refused([](VolumeOptions& o, VolumeView&) { o.profile = "litemedsam"; }, "\"litemedsam\"");
}

}  // namespace
}  // namespace medsam
