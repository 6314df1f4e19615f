// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Bit masks against dense ones.
#include "session/mask.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace medsam::session {
namespace {

/// A dense mask (D, H, W), and the same operations on it.
struct Dense {
  Grid grid;
  std::vector<std::uint8_t> values;

  explicit Dense(const Grid& g) : grid(g), values(static_cast<std::size_t>(g.depth() * g.height() * g.width())) {}
  std::uint8_t& at(std::int64_t z, std::int64_t y, std::int64_t x) {
    return values[static_cast<std::size_t>((z * grid.height() + y) * grid.width() + x)];
  }
  std::uint8_t& at(const Plane& p, std::int64_t row, std::int64_t column) {
    if (p.axis == 0) return at(p.index, row, column);
    return p.axis == 1 ? at(row, p.index, column) : at(row, column, p.index);
  }
};

VoxelBox box_of(Dense& a, Dense& b) {
  VoxelBox box;
  for (std::int64_t z = 0; z < a.grid.depth(); ++z) {
    for (std::int64_t y = 0; y < a.grid.height(); ++y) {
      for (std::int64_t x = 0; x < a.grid.width(); ++x) {
        if (a.at(z, y, x) != b.at(z, y, x)) box = united(box, {x, y, z, x, y, z});
      }
    }
  }
  return box;
}

void expect_box(const VoxelBox& got, const VoxelBox& wanted) {
  EXPECT_EQ(got.empty(), wanted.empty());
  EXPECT_EQ(std::make_tuple(got.x0, got.y0, got.z0, got.x1, got.y1, got.z1),
            std::make_tuple(wanted.x0, wanted.y0, wanted.z0, wanted.x1, wanted.y1, wanted.z1));
}

void expect_equal(const Mask& mask, Dense& dense) {
  const Grid& grid = dense.grid;
  for (int axis = 0; axis < 3; ++axis) {
    for (std::int64_t i = 0; i < grid.shape[axis]; ++i) {
      const Plane plane{axis, i};
      const PlaneMask pixels = mask.pixels(plane);
      ASSERT_EQ(pixels.rows, grid.rows(axis));
      ASSERT_EQ(pixels.columns, grid.columns(axis));
      bool any = false;
      for (std::int64_t y = 0; y < pixels.rows; ++y) {
        for (std::int64_t x = 0; x < pixels.columns; ++x) {
          ASSERT_EQ(pixels.at(x, y), dense.at(plane, y, x)) << axis << " " << i << ": " << x << ", " << y;
          any = any || pixels.at(x, y) != 0;
        }
      }
      EXPECT_EQ(mask.any(plane), any);
    }
  }
  EXPECT_EQ(mask.voxels(), std::count(dense.values.begin(), dense.values.end(), 1));
  Dense nothing(grid);
  expect_box(mask.box(), box_of(dense, nothing));
  std::vector<std::uint8_t> painted(dense.values.size());
  std::int64_t last = -1;
  mask.for_each_run([&](std::int64_t z, std::int64_t y, std::int64_t x0, std::int64_t x1) {
    ASSERT_LT(x0, x1);
    ASSERT_LE(x1, grid.width());
    const std::int64_t first = (z * grid.height() + y) * grid.width() + x0;
    ASSERT_TRUE(first > last || (x0 == 0 && first >= last)) << "runs are in order and do not touch";
    last = first + x1 - x0;
    std::fill(painted.begin() + first, painted.begin() + last, std::uint8_t{1});
  });
  EXPECT_EQ(painted, dense.values);
}

class MaskTest : public ::testing::TestWithParam<std::int64_t> {
 protected:
  [[nodiscard]] Grid grid() const { return {{5, 9, GetParam()}, {1, 1, 1}}; }
};

TEST_P(MaskTest, PlanesOfEveryAxisAreThoseOfADenseMask) {
  Mask mask(grid());
  Dense dense(grid());
  expect_equal(mask, dense);
  std::mt19937 random(3);
  for (int step = 0; step < 60; ++step) {
    const int axis = static_cast<int>(random() % 3);
    const Plane plane{axis, static_cast<std::int64_t>(random() % static_cast<std::uint32_t>(grid().shape[axis]))};
    PlaneMask values(grid(), axis);
    const std::uint32_t density = random() % 4;  // 0: nothing, 3: all
    for (auto& v : values.values) v = static_cast<std::uint8_t>(random() % 3 < density ? 1 : 0);
    Dense before = dense;
    for (std::int64_t y = 0; y < values.rows; ++y) {
      for (std::int64_t x = 0; x < values.columns; ++x) dense.at(plane, y, x) = values.at(x, y);
    }
    expect_box(mask.set_plane(plane, values), box_of(before, dense));
    if (step % 10 == 0) expect_equal(mask, dense);
    expect_box(mask.set_plane(plane, values), {});
  }
  expect_equal(mask, dense);
}

TEST_P(MaskTest, DifferencesAndSubtractionAreThoseOfDenseMasks) {
  std::mt19937 random(4);
  for (int round = 0; round < 10; ++round) {
    Mask a(grid()), b(grid());
    Dense dense_a(grid()), dense_b(grid());
    for (std::int64_t z = 0; z < grid().depth(); ++z) {
      PlaneMask both[2] = {PlaneMask(grid(), 0), PlaneMask(grid(), 0)};
      for (int k = 0; k < 2; ++k) {
        if (random() % 3 == 0) continue;  // a slice without voxels
        for (auto& v : both[k].values) v = static_cast<std::uint8_t>(random() % 4 == 0);
      }
      a.set_plane({0, z}, both[0]);
      b.set_plane({0, z}, both[1]);
      std::copy(both[0].values.begin(), both[0].values.end(), &dense_a.at(z, 0, 0));
      std::copy(both[1].values.begin(), both[1].values.end(), &dense_b.at(z, 0, 0));
    }
    expect_box(a.difference(b), box_of(dense_a, dense_b));
    expect_box(b.difference(a), box_of(dense_a, dense_b));
    expect_box(a.difference(a), {});
    a.subtract(b);
    for (std::size_t i = 0; i < dense_a.values.size(); ++i) {
      if (dense_b.values[i] != 0) dense_a.values[i] = 0;
    }
    expect_equal(a, dense_a);
    expect_equal(b, dense_b);
  }
}

TEST_P(MaskTest, CopiesShareTheirSlicesUntilOneChanges) {
  Mask mask(grid());
  PlaneMask values(grid(), 0);
  values.values.front() = 1;
  values.values.back() = 1;
  for (std::int64_t z = 0; z < grid().depth(); ++z) mask.set_plane({0, z}, values);
  const std::uint64_t whole = mask.bytes_beyond(Mask(grid()));
  EXPECT_GT(whole, 0u);
  Mask copy = mask;
  EXPECT_EQ(copy.bytes_beyond(mask), 0u);
  copy.set_plane({0, 2}, values);
  EXPECT_EQ(copy.bytes_beyond(mask), 0u) << "what does not change stays shared";
  copy.subtract(Mask(grid()));
  EXPECT_EQ(copy.bytes_beyond(mask), 0u);
  copy.set_plane({0, 2}, PlaneMask(grid(), 0));
  EXPECT_EQ(copy.bytes_beyond(mask), 0u) << "a slice without voxels takes none";
  EXPECT_EQ(mask.bytes_beyond(copy), whole / static_cast<std::uint64_t>(grid().depth()));
  EXPECT_TRUE(mask.any({0, 2})) << "the original is untouched";
  EXPECT_FALSE(copy.any({0, 2}));
  copy.set_plane({1, 0}, PlaneMask(grid(), 1));
  EXPECT_EQ(mask.pixels({0, 0}).values, values.values);
}

INSTANTIATE_TEST_SUITE_P(Widths, MaskTest, ::testing::Values(1, 2, 63, 64, 65, 127, 128, 129, 200));

}  // namespace
}  // namespace medsam::session
