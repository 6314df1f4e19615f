// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Which planes a propagation asks about and writes.
#include <gtest/gtest.h>

#include <algorithm>
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

}  // namespace
}  // namespace medsam
