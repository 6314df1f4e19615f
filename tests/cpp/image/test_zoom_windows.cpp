// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "image/zoom_windows.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <set>
#include <tuple>
#include <vector>

namespace medsam {

bool operator==(const PixelBox& a, const PixelBox& b) {
  return std::tie(a.x0, a.y0, a.x1, a.y1) == std::tie(b.x0, b.y0, b.x1, b.y1);
}

namespace {

ZoomRules clinical() { return *builtin_profile("clinical").zoom; }

PixelBox only_window(std::int64_t height, std::int64_t width, const Box& box) {
  const auto windows = zoom_windows(clinical(), height, width, {box});
  EXPECT_EQ(windows.size(), 1u);
  return windows.empty() ? PixelBox{} : windows[0].part;
}

/// Boxes of one size about each other's place, as cells are, and a few large ones.
std::vector<Box> some_boxes(std::mt19937& random, std::int64_t height, std::int64_t width, int count) {
  const auto longest = static_cast<double>(std::max(height, width));
  std::uniform_real_distribution<double> share(0, 1);
  std::vector<Box> boxes;
  for (int i = 0; i < count; ++i) {
    const double most = i % 10 == 0 ? longest : longest / 12;
    const double x0 = share(random) * static_cast<double>(width - 1),
                 y0 = share(random) * static_cast<double>(height - 1);
    const double x1 = std::min(static_cast<double>(width - 1), x0 + share(random) * most);
    const double y1 = std::min(static_cast<double>(height - 1), y0 + share(random) * most);
    const bool whole = i % 2 == 0;
    boxes.push_back(whole ? Box{std::floor(x0), std::floor(y0), std::floor(x1), std::floor(y1)} : Box{x0, y0, x1, y1});
  }
  return boxes;
}

TEST(ZoomWindows, OneSmallBoxIsInTheCenterOfThreeOfItsSides) {
  EXPECT_EQ(only_window(400, 600, {100, 100, 139, 119}), (PixelBox{60, 50, 180, 170}));
}

TEST(ZoomWindows, AWindowAtTheEdgeIsMovedIntoTheImage) {
  EXPECT_EQ(only_window(400, 600, {0, 380, 39, 399}), (PixelBox{0, 280, 120, 400}));
}

TEST(ZoomWindows, AWindowIsAsHighAsAFlatImage) {
  EXPECT_EQ(only_window(50, 600, {100, 10, 139, 29}), (PixelBox{60, 0, 180, 50}));
}

TEST(ZoomWindows, ABoxOfAQuarterOfTheImageIsTheLargestThatHasOne) {
  EXPECT_EQ(zoom_windows(clinical(), 400, 400, {{0, 0, 99, 9}}).size(), 1u);
  EXPECT_TRUE(zoom_windows(clinical(), 400, 400, {{0, 0, 100, 9}}).empty());
  EXPECT_TRUE(zoom_windows(clinical(), 1, 1, {{0, 0, 0, 0}}).empty());
  EXPECT_TRUE(zoom_windows(clinical(), 400, 400, {}).empty());
}

TEST(ZoomWindows, NeighborsShareAndFarBoxesDoNot) {
  const auto windows =
      zoom_windows(clinical(), 1000, 1000, {{100, 100, 129, 129}, {800, 800, 829, 829}, {120, 110, 140, 130}});
  ASSERT_EQ(windows.size(), 2u);
  EXPECT_EQ(windows[0].boxes, (std::vector<std::size_t>{0, 2}));
  EXPECT_EQ(windows[1].boxes, (std::vector<std::size_t>{1}));
}

TEST(ZoomWindows, AreBoundedHoldTheirBoxesAndLieInTheImage) {
  std::mt19937 random(3);
  const ZoomRules rules = clinical();
  for (int trial = 0; trial < 300; ++trial) {
    const std::int64_t height = 1 + static_cast<std::int64_t>(random() % 700),
                       width = 1 + static_cast<std::int64_t>(random() % 700);
    const std::vector<Box> boxes = some_boxes(random, height, width, 1 + static_cast<int>(random() % 250));
    const auto windows = zoom_windows(rules, height, width, boxes);
    EXPECT_LE(windows.size(), 4 + boxes.size() / 24);
    std::set<std::size_t> seen;
    for (const ZoomWindow& window : windows) {
      const PixelBox& p = window.part;
      EXPECT_TRUE(p.x0 >= 0 && p.y0 >= 0 && p.x1 <= width && p.y1 <= height && p.x0 < p.x1 && p.y0 < p.y1);
      EXPECT_TRUE(std::is_sorted(window.boxes.begin(), window.boxes.end()));
      EXPECT_FALSE(window.boxes.empty());
      for (const std::size_t i : window.boxes) {
        EXPECT_TRUE(seen.insert(i).second) << "in two windows";
        const Box& b = boxes[i];
        EXPECT_GE(b.x0, p.x0);
        EXPECT_GE(b.y0, p.y0);
        EXPECT_LE(b.x1 + 1, p.x1);
        EXPECT_LE(b.y1 + 1, p.y1);
      }
    }
  }
}

TEST(ZoomWindows, DependNeitherOnTheOrderOfTheBoxesNorOnLargeOnes) {
  std::mt19937 random(4);
  for (int trial = 0; trial < 30; ++trial) {
    const std::vector<Box> boxes = some_boxes(random, 300, 400, 100);
    std::vector<std::size_t> order(boxes.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::shuffle(order.begin(), order.end(), random);
    std::vector<Box> shuffled;
    for (const std::size_t i : order) shuffled.push_back(boxes[i]);
    shuffled.push_back({0, 0, 399, 299});
    const auto expected = zoom_windows(clinical(), 300, 400, boxes), got = zoom_windows(clinical(), 300, 400, shuffled);
    ASSERT_EQ(expected.size(), got.size());
    for (std::size_t w = 0; w < got.size(); ++w) {
      EXPECT_EQ(expected[w].part, got[w].part);
      std::vector<std::size_t> named;
      for (const std::size_t i : got[w].boxes) named.push_back(order.at(i));
      std::sort(named.begin(), named.end());
      EXPECT_EQ(expected[w].boxes, named);
    }
  }
}

TEST(ZoomWindows, ABoxMoreDoesNotTakeTheOthersTheirWindows) {
  // Far apart: even windows of half the image serve few of them, and there may be 4.
  std::vector<Box> boxes = {{470, 470, 529, 529}};
  for (const double y : {60.0, 500.0, 940.0}) {
    for (const double x : {60.0, 500.0, 940.0}) {
      if (x != 500 || y != 500) boxes.push_back({x - 20, y - 20, x + 19, y + 19});
    }
  }
  const auto served = [](const std::vector<Box>& of) {
    std::size_t count = 0;
    for (const ZoomWindow& window : zoom_windows(clinical(), 1000, 1000, of)) count += window.boxes.size();
    return count;
  };
  const std::vector<Box> fewer(boxes.begin(), boxes.end() - 1);
  EXPECT_GE(served(fewer), 8U);
  EXPECT_GE(served(boxes), 8U);
}

TEST(ZoomWindows, SomeBoxesOfEveryCallAreServed) {
  std::mt19937 random(6);
  for (int trial = 0; trial < 300; ++trial) {
    std::vector<Box> boxes;
    for (int i = 0; i < 20; ++i) {
      const auto side = static_cast<double>(10 + random() % 91);
      const auto x = static_cast<double>(random() % 900), y = static_cast<double>(random() % 900);
      boxes.push_back({x, y, x + side - 1, y + side - 1});
    }
    EXPECT_FALSE(zoom_windows(clinical(), 1000, 1000, boxes).empty());
  }
}

TEST(ZoomWindows, ManyCellsOfALargeImageCostFewWindows) {
  std::mt19937 random(5);
  std::vector<Box> cells;
  for (int i = 0; i < 300; ++i) {
    const auto x = static_cast<double>(random() % 2570), y = static_cast<double>(random() % 1670);
    cells.push_back({x, y, x + 20, y + 24});
  }
  std::size_t served = 0;
  const auto windows = zoom_windows(clinical(), 1700, 2600, cells);
  for (const ZoomWindow& window : windows) served += window.boxes.size();
  EXPECT_LE(windows.size(), 16u);
  EXPECT_EQ(served, 300u);
}

}  // namespace
}  // namespace medsam
