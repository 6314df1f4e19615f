// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Lines and closed lines as pixels.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "session/answers.hpp"

namespace medsam::session {
namespace {

const Grid kGrid{{6, 20, 30}, {1, 1, 1}};

bool inside(const std::vector<PlanePoint>& outline, double x, double y) {
  bool in = false;
  for (std::size_t i = 0, j = outline.size() - 1; i < outline.size(); j = i++) {
    const PlanePoint &a = outline[i], &b = outline[j];
    if ((a.y <= y) != (b.y <= y) && x < a.x + (y - a.y) * (b.x - a.x) / (b.y - a.y)) in = !in;
  }
  return in;
}

double distance_to_line(const std::vector<PlanePoint>& line, double x, double y) {
  double best = 1e300;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const PlanePoint &a = line[i], &b = line[std::min(i + 1, line.size() - 1)];
    const double dx = b.x - a.x, dy = b.y - a.y, length = dx * dx + dy * dy;
    const double t = length > 0 ? std::min(1.0, std::max(0.0, ((x - a.x) * dx + (y - a.y) * dy) / length)) : 0;
    best = std::min(best, std::hypot(x - a.x - t * dx, y - a.y - t * dy));
  }
  return best;
}

std::vector<PlanePoint> random_points(std::mt19937& random, std::size_t count, int axis) {
  std::vector<PlanePoint> points;
  for (std::size_t i = 0; i < count; ++i) {
    const auto coordinate = [&](std::int64_t size) {
      return static_cast<double>(random() % static_cast<std::uint32_t>(8 * size)) / 8 - 0.5;
    };
    points.push_back({coordinate(kGrid.columns(axis)), coordinate(kGrid.rows(axis))});
  }
  return points;
}

TEST(Outline, ALineRunsFromPixelToPixelWithoutGaps) {
  std::mt19937 random(1);
  for (int round = 0; round < 100; ++round) {
    const int axis = round % 3;
    const auto line = random_points(random, 1 + random() % 5, axis);
    const auto pixels = pixels_of_line(kGrid, {axis, 0}, line);
    ASSERT_FALSE(pixels.empty());
    for (std::size_t i = 0; i < pixels.size(); ++i) {
      const auto& p = pixels[i];
      ASSERT_TRUE(p.x >= 0 && p.x < kGrid.columns(axis) && p.y >= 0 && p.y < kGrid.rows(axis));
      EXPECT_LE(distance_to_line(line, static_cast<double>(p.x), static_cast<double>(p.y)), std::sqrt(0.5) + 1e-9);
      if (i == 0) continue;
      EXPECT_LE(std::max(std::abs(p.x - pixels[i - 1].x), std::abs(p.y - pixels[i - 1].y)), 1);
    }
    for (const PlanePoint& point : line) {
      const PlanePixel at = pixel_of(kGrid, {axis, 0}, point);
      EXPECT_TRUE(
          std::any_of(pixels.begin(), pixels.end(), [&](const PlanePixel& p) { return p.x == at.x && p.y == at.y; }));
    }
  }
}

TEST(Outline, HasWhatIsInsideAndTheLineAndNothingElse) {
  std::mt19937 random(2);
  for (int round = 0; round < 100; ++round) {
    const int axis = round % 3;
    const auto outline = random_points(random, 3 + random() % 6, axis);
    auto closed = outline;
    closed.push_back(outline.front());
    const PlaneMask mask = inside_outline(kGrid, axis, outline);
    ASSERT_EQ(mask.rows, kGrid.rows(axis));
    ASSERT_EQ(mask.columns, kGrid.columns(axis));
    for (std::int64_t y = 0; y < mask.rows; ++y) {
      for (std::int64_t x = 0; x < mask.columns; ++x) {
        const auto at_x = static_cast<double>(x), at_y = static_cast<double>(y);
        const double distance = distance_to_line(closed, at_x, at_y);
        if (distance > std::sqrt(0.5) + 1e-9) {
          EXPECT_EQ(mask.at(x, y) != 0, inside(outline, at_x, at_y)) << round << ": " << x << ", " << y;
        } else if (distance > 1e-9 && inside(outline, at_x, at_y)) {
          EXPECT_NE(mask.at(x, y), 0) << round << ": " << x << ", " << y;
        }
      }
    }
  }
}

TEST(Outline, WithoutAnAreaIsItsLine) {
  const PlaneMask dot = inside_outline(kGrid, 0, {{4, 5}, {4, 5}, {4, 5}});
  EXPECT_EQ(dot.area(), 1);
  EXPECT_EQ(dot.at(4, 5), 1);
  const PlaneMask line = inside_outline(kGrid, 0, {{2, 3}, {9, 3}, {5, 3}});
  EXPECT_EQ(line.area(), 8);
}

TEST(Outline, ReachesTheBordersOfThePlane) {
  const PlaneMask whole = inside_outline(kGrid, 0, {{-0.5, -0.5}, {29.49, -0.5}, {29.49, 19.49}, {-0.5, 19.49}});
  EXPECT_EQ(whole.area(), 20 * 30);
}

}  // namespace
}  // namespace medsam::session
