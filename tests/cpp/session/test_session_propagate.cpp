// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Which planes a propagation asks about and writes.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <vector>

#include "medsam/error.hpp"
#include "support/session_test.hpp"

namespace medsam {
namespace {

TEST_F(SessionTest, PropagateCarriesTheObjectAndNothingBeyondTheRange) {
  const auto made = session();
  made->add_box("a", Box{8, 4, 31, 19}, {0, 4});
  const auto key = mask_of(*made, "a");
  PropagateOptions options;
  options.first = 2;
  options.last = 6;
  std::vector<std::int64_t> done;
  options.progress = [&](const VolumeProgress& p) {
    done.push_back(p.done);
    EXPECT_LE(p.done, p.total);
  };
  const Shown before = shown(*made);
  const VoxelBox changed = made->propagate("a", options);
  EXPECT_EQ(changed, difference(before, shown(*made)));
  const auto mask = mask_of(*made, "a");
  for (const std::int64_t z : slices_of(mask, kSlice)) EXPECT_TRUE(z >= 2 && z <= 6) << z;
  EXPECT_TRUE(std::equal(mask.begin() + 4 * kSlice, mask.begin() + 5 * kSlice, key.begin() + 4 * kSlice))
      << "a key plane stays";
  EXPECT_TRUE(std::is_sorted(done.begin(), done.end()));
}

TEST_F(SessionTest, PropagateDoesNotWriteBetweenAKeyPlaneAndADistantRange) {
  const auto made = session();
  made->add_box("a", Box{8, 4, 31, 19}, {0, 1});
  PropagateOptions above, below;
  above.first = 5;
  const VoxelBox up = made->propagate("a", above);
  if (!up.empty()) {
    EXPECT_GE(up.z0, 5);
  }
  for (const std::int64_t z : slices_of(mask_of(*made, "a"), kSlice)) EXPECT_TRUE(z == 1 || z >= 5) << z;
  made->add_box("b", Box{8, 4, 31, 19}, {0, 6});
  below.last = 2;
  made->propagate("b", below);
  for (const std::int64_t z : slices_of(mask_of(*made, "b"), kSlice)) EXPECT_TRUE(z == 6 || z <= 2) << z;
}

TEST_F(SessionTest, PropagateGoesWhereItIsTold) {
  const auto made = session();
  made->add_box("a", Box{8, 4, 31, 19}, {0, 4});
  PropagateOptions options;
  options.direction = PropagateDirection::up;
  made->propagate("a", options);
  for (const std::int64_t z : slices_of(mask_of(*made, "a"), kSlice)) EXPECT_GE(z, 4);
  made->undo();
  options.direction = PropagateDirection::down;
  made->propagate("a", options);
  for (const std::int64_t z : slices_of(mask_of(*made, "a"), kSlice)) EXPECT_LE(z, 4);
  made->undo();
  PropagateOptions near;
  near.distance = 5.2;  // mm; two planes of 2.5 mm
  made->propagate("a", near);
  for (const std::int64_t z : slices_of(mask_of(*made, "a"), kSlice)) EXPECT_LE(std::abs(z - 4), 2);
  made->undo();
  near.distance = std::numeric_limits<double>::infinity();
  EXPECT_NO_THROW(made->propagate("a", near));
  made->undo();
  PropagateOptions none;
  none.seconds = 0;
  const VoxelBox reached = made->propagate("a", none);
  EXPECT_TRUE(reached.empty()) << "no plane but the first is begun after the time: the key plane";
}

TEST_F(SessionTest, NoPlaneIsReportedAfterTheCallIsCancelled) {
  const auto made = session();
  made->add_box("a", Box{2, 2, 37, 21}, {0, 2});
  const Shown before = shown(*made);
  PropagateOptions options;
  options.first = 0;
  options.last = 4;  // as few as are asked about before the first is made
  int reported = 0;
  options.progress = [&](const VolumeProgress&) { ++reported; };
  options.cancelled = [&] { return reported > 0; };
  EXPECT_THROW(made->propagate("a", options), Cancelled);
  EXPECT_EQ(reported, 1);
  EXPECT_EQ(shown(*made), before);
}

TEST_F(SessionTest, OneDirectionAsksAboutItsPlanesAlone) {
  const auto told = [&](PropagateDirection direction) {
    const auto made = session();
    made->add_box("a", Box{2, 2, 37, 21}, {0, 2});
    PropagateOptions options;
    options.first = 0;
    options.last = kDepth - 1;
    options.direction = direction;
    std::int64_t total = 0;
    options.progress = [&](const VolumeProgress& p) { total = p.total; };
    made->propagate("a", options);
    return std::make_pair(total, mask_of(*made, "a"));
  };
  const auto [all, both] = told(PropagateDirection::both);
  const auto [some, down] = told(PropagateDirection::down);
  EXPECT_EQ(all, kDepth);
  EXPECT_EQ(some, 6) << "planes 0 to 2, and 3 that smoothing looks at";
  EXPECT_TRUE(std::equal(down.begin(), down.begin() + 3 * kSlice, both.begin()));
  EXPECT_EQ(std::count(down.begin() + 3 * kSlice, down.end(), 1), 0);
}

/// The planes that `reached` was called with, along axis 0, and how often.
struct Reached {
  std::map<std::int64_t, std::vector<std::uint8_t>> planes;
  std::vector<std::int64_t> order;

  bool operator()(std::int64_t index, const LabelView& mask) {
    order.push_back(index);
    std::vector<std::uint8_t>& plane = planes[index];
    for (std::int64_t y = 0; y < mask.height; ++y) {
      const auto* row = static_cast<const std::uint8_t*>(mask.data) + y * mask.row_stride;
      plane.insert(plane.end(), row, row + mask.width);
    }
    return true;
  }
};

/// In every plane the object has 20 columns. Boxes of the first 12 are corrected by clicks on the others.
class ReachedPlanesTest : public SessionTest {
 protected:
  void SetUp() override {
    SessionTest::SetUp();
    know_boxes_only();
    for (std::size_t i = 0; i < voxels_.size(); ++i) {
      const auto x = static_cast<std::int64_t>(i) % kWidth, y = static_cast<std::int64_t>(i) / kWidth % kHeight;
      voxels_[i] = y >= 6 && y < 18 && x >= 8 && x < 28 ? 200 : 50;
    }
  }
  /// Propagates with and without `reached`: the masks are equal, and each plane that was told of is that of the mask.
  std::vector<std::int64_t> told(Session& session, PropagateOptions options) {
    session.propagate("a", options);
    const auto undivided = mask_of(session, "a");
    session.undo();
    Reached reached;
    options.reached = std::ref(reached);
    session.propagate("a", options);
    const auto mask = mask_of(session, "a");
    EXPECT_EQ(mask, undivided);
    for (const auto& [index, plane] : reached.planes) {
      EXPECT_EQ(plane, std::vector<std::uint8_t>(mask.begin() + index * kSlice, mask.begin() + (index + 1) * kSlice))
          << index;
    }
    return reached.order;
  }
  static bool has(const Session& session, std::int64_t z, std::int64_t x) {
    return mask_of(session, "a")[static_cast<std::size_t>(z * kSlice + 12 * kWidth + x)] != 0;
  }

  const Box half_{8, 6, 19, 17};
  const PlanePoint other_half_{24, 12};
};

TEST_F(ReachedPlanesTest, EachIsToldAsTheCallLeavesIt) {
  const auto made = session();
  std::vector<std::uint8_t> block(voxels_.size());
  for (std::int64_t z = 2; z < 6; ++z) {
    for (std::int64_t y = 0; y < kHeight; ++y) {
      for (std::int64_t x = 0; x < 12; ++x) block[static_cast<std::size_t>(z * kSlice + y * kWidth + x)] = 1;
    }
  }
  made->add_mask("kept", out(block));
  made->add_box("a", half_, {0, 4});
  made->add_click("a", other_half_, true, {0, 4});  // a correction, which is carried to the planes near it
  made->lock("kept");
  PropagateOptions options;
  options.first = 1;
  options.last = 6;
  EXPECT_EQ(told(*made, options), (std::vector<std::int64_t>{3, 5, 2, 6, 1})) << "outward, without the key plane";
  EXPECT_TRUE(has(*made, 3, 24)) << "the correction was carried, or this shows nothing";
  EXPECT_FALSE(has(*made, 3, 9)) << "locked";
  EXPECT_TRUE(has(*made, 6, 9));
}

TEST_F(ReachedPlanesTest, AreToldOnceWhatACorrectionElsewhereChangesIsKnown) {
  const auto made = session();
  made->add_box("a", half_, {0, 3});
  made->propagate("a");
  made->add_click("a", other_half_, true, {0, 5});  // on a plane that is reached after its neighbors
  PropagateOptions options;
  options.first = 1;
  options.last = 6;
  EXPECT_EQ(told(*made, options), (std::vector<std::int64_t>{2, 4, 1, 6})) << "without the key planes 3 and 5";
  EXPECT_TRUE(has(*made, 4, 24)) << "the correction was carried, or this shows nothing";
}

TEST_F(SessionTest, AMaskThatIsCarriedCanBeCancelledBetweenPlanes) {
  const auto made = session();
  made->add_mask("a", [&] {
    static std::vector<std::uint8_t> block(static_cast<std::size_t>(kDepth * kSlice));
    std::fill(block.begin() + kSlice, block.begin() + 6 * kSlice, std::uint8_t{1});
    return out(block);
  }());
  made->add_click("a", {9, 5}, false, {0, 3});
  const Shown before = shown(*made);
  PropagateOptions options;
  int told = 0;
  options.reached = [&](std::int64_t, const LabelView&) { return ++told > 0; };
  options.cancelled = [&] { return told > 0; };
  EXPECT_THROW(made->propagate("a", options), Cancelled);
  EXPECT_EQ(told, 1);
  EXPECT_EQ(shown(*made), before);
}

TEST_F(SessionTest, WhatWasReachedStaysWhenTheCallerHasEnough) {
  const auto made = session();
  made->add_box("a", Box{8, 4, 31, 19}, {0, 4});
  PropagateOptions options;
  options.first = 1;
  options.last = 6;
  made->propagate("a", options);
  const auto undivided = mask_of(*made, "a");
  made->undo();
  Reached reached;
  options.reached = [&](std::int64_t index, const LabelView& mask) {
    return reached(index, mask) && reached.order.size() < 3;
  };
  made->propagate("a", options);
  const auto mask = mask_of(*made, "a");
  EXPECT_EQ(reached.order, (std::vector<std::int64_t>{3, 5, 2}));
  for (const std::int64_t z : slices_of(mask, kSlice)) EXPECT_TRUE(z >= 2 && z <= 5) << z;
  EXPECT_TRUE(std::equal(mask.begin() + 2 * kSlice, mask.begin() + 6 * kSlice, undivided.begin() + 2 * kSlice));
  EXPECT_NE(mask, undivided);
}

TEST_F(ReachedPlanesTest, OfAnAnswerForTheWhole) {
  const auto made = session();
  made->add_box("a", Box3D{8, 6, 1, 19, 17, 6});
  made->add_click("a", other_half_, true, {0, 3});
  EXPECT_EQ(told(*made, {}), (std::vector<std::int64_t>{1, 2, 4, 5, 6})) << "without the key plane";
  EXPECT_TRUE(has(*made, 4, 24)) << "the correction was carried, or this shows nothing";
  made->undo();
  const Shown before = shown(*made);
  PropagateOptions options;
  options.reached = [](std::int64_t, const LabelView&) -> bool { throw Cancelled("the caller's own"); };
  EXPECT_THROW(made->propagate("a", options), Cancelled);
  EXPECT_EQ(shown(*made), before);
}

}  // namespace
}  // namespace medsam
