// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "prompt/box_sampling.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace medsam {
namespace {

constexpr std::int64_t kSide = 256;

using Map = std::vector<float>;

std::size_t at(std::int64_t x, std::int64_t y) { return static_cast<std::size_t>(y * kSide + x); }

struct Box {
  float x0, y0, x1, y1;
};

struct Sample {
  std::array<float, 8> points{};
  Map scribble = Map(kSide * kSide, -7);  // what is not written shows

  float x(std::size_t i) const { return points[2 * i]; }
  float y(std::size_t i) const { return points[2 * i + 1]; }
  double area() const { return std::accumulate(scribble.begin(), scribble.end(), 0.0); }
  bool operator==(const Sample&) const = default;
};

Sample sample(const Box& box, const Map& foreground) {
  Sample out;
  const float corners[4] = {box.x0, box.y0, box.x1, box.y1};
  out.points = sample_box(corners, foreground.data(), kSide, out.scribble.data());
  return out;
}

Map constant(float value) { return Map(kSide * kSide, value); }

/// Foreground in a disc around (100, 90), values of any size above 0.
Map disc(double radius) {
  Map map = constant(0);
  for (std::int64_t y = 0; y < kSide; ++y) {
    for (std::int64_t x = 0; x < kSide; ++x) {
      if (std::hypot(static_cast<double>(x - 100), static_cast<double>(y - 90)) < radius) map[at(x, y)] = 0.01F;
    }
  }
  return map;
}

/// The number of 8-connected components of a scribble, by relaxing labels until nothing changes.
std::int64_t components(const Map& scribble) {
  std::vector<std::int64_t> label(scribble.size(), -1);
  for (std::size_t i = 0; i < scribble.size(); ++i) label[i] = scribble[i] > 0 ? static_cast<std::int64_t>(i) : -1;
  for (bool changed = true; changed;) {
    changed = false;
    for (std::int64_t y = 0; y < kSide; ++y) {
      for (std::int64_t x = 0; x < kSide; ++x) {
        std::int64_t& own = label[at(x, y)];
        if (own < 0) continue;
        for (std::int64_t v = std::max<std::int64_t>(y - 1, 0); v <= std::min(y + 1, kSide - 1); ++v) {
          for (std::int64_t u = std::max<std::int64_t>(x - 1, 0); u <= std::min(x + 1, kSide - 1); ++u) {
            const std::int64_t other = label[at(u, v)];
            if (other > own) own = other, changed = true;
          }
        }
      }
    }
  }
  std::sort(label.begin(), label.end());
  return std::unique(label.begin(), label.end()) - std::upper_bound(label.begin(), label.end(), -1);
}

std::vector<Box> many_boxes() {
  std::vector<Box> boxes;
  for (int i = 0; i < 60; ++i) {
    const auto x0 = static_cast<float>((i * 37) % 200), y0 = static_cast<float>((i * 53) % 190);
    const auto width = static_cast<float>((i * 29) % 56), height = static_cast<float>((i * 17) % 66);
    boxes.push_back({x0, y0, x0 + width, y0 + height});
  }
  boxes.push_back({0, 0, 256, 256});
  boxes.push_back({0.4F, 100.7F, 33.3F, 255.9F});
  return boxes;
}

TEST(BoxSampling, IsTheSameOnEveryCallAndPlatform) {
  const Map foreground = constant(1);
  const Box box{30, 40, 150, 150};
  const Sample first = sample(box, foreground);
  sample({10, 10, 20, 20}, foreground);  // another box between changes nothing
  EXPECT_EQ(sample(box, foreground), first);
  EXPECT_NE(sample({31, 40, 150, 150}, foreground).scribble, first.scribble);
  // Written down once: a change of these numbers changes the masks of every user of such a bundle.
  const std::array<float, 8> points = {85, 76, 83, 97, 91, 116, 95, 83};
  EXPECT_EQ(first.points, points);
  EXPECT_EQ(first.area(), 468);
}

TEST(BoxSampling, PointsLieInTheirQuadrants) {
  for (const Map& foreground : {constant(1), disc(70)}) {
    for (const Box& box : many_boxes()) {
      const Sample s = sample(box, foreground);
      const float mid_x = std::floor((box.x0 + box.x1) / 2), mid_y = std::floor((box.y0 + box.y1) / 2);
      for (std::size_t i = 0; i < 4; ++i) {
        EXPECT_GE(s.x(i), std::floor(box.x0));
        EXPECT_GE(s.y(i), std::floor(box.y0));
        EXPECT_LE(s.x(i), box.x1);
        EXPECT_LE(s.y(i), box.y1);
        // Top left, bottom left, bottom right, top right; the center stands for an empty quadrant.
        EXPECT_TRUE(i < 2 ? s.x(i) <= mid_x : s.x(i) >= mid_x) << i << ' ' << s.x(i);
        EXPECT_TRUE(i == 0 || i == 3 ? s.y(i) <= mid_y : s.y(i) >= mid_y) << i << ' ' << s.y(i);
      }
    }
  }
}

TEST(BoxSampling, PointsTakeTheirColumnAndRowFromForeground) {
  // Vertical stripes two pixels wide: a foreground row is any row, a foreground column is a stripe's.
  Map stripes = constant(0);
  for (std::size_t i = 0; i < stripes.size(); ++i) stripes[i] = i % 8 < 2 ? 0.5F : 0.0F;
  for (const Box& box : {Box{20, 20, 220, 220}, Box{33, 51, 130, 97}}) {
    const Sample s = sample(box, stripes);
    for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(stripes[static_cast<std::size_t>(s.y(i) * kSide + s.x(i))], 0.5F);
  }
}

TEST(BoxSampling, ScribbleIsOnePieceOfForegroundInsideTheNarrowedBox) {
  int drawn = 0;
  for (const Map& foreground : {constant(1), disc(70)}) {
    for (const Box& box : many_boxes()) {
      const Sample s = sample(box, foreground);
      drawn += s.area() > 0;
      EXPECT_LE(components(s.scribble), 1);
      EXPECT_TRUE(s.area() == 0 || s.area() > 5) << s.area();
      // Each side gives way by an eighth at least, where that is a pixel and the range of shifts is not empty.
      const auto narrowed = [](float low, float high) {
        const int from = static_cast<int>((high - low) / 8), to = static_cast<int>((high - low) / 6);
        return to > from ? from : 0;
      };
      const int by_x = narrowed(box.x0, box.x1), by_y = narrowed(box.y0, box.y1);
      for (std::int64_t y = 0; y < kSide; ++y) {
        for (std::int64_t x = 0; x < kSide; ++x) {
          const float value = s.scribble[at(x, y)];
          ASSERT_TRUE(value == 0 || value == 1) << value;
          if (value == 0) continue;
          EXPECT_GT(foreground[at(x, y)], 0);
          EXPECT_GE(x, static_cast<int>(box.x0 + static_cast<float>(by_x)));
          EXPECT_LT(x, static_cast<int>(box.x1 - static_cast<float>(by_x)));
          EXPECT_GE(y, static_cast<int>(box.y0 + static_cast<float>(by_y)));
          EXPECT_LT(y, static_cast<int>(box.y1 - static_cast<float>(by_y)));
        }
      }
    }
  }
  EXPECT_GT(drawn, 60);
}

TEST(BoxSampling, BackgroundAloneGivesCentersAndNoScribble) {
  const Sample s = sample({40, 50, 61, 81}, constant(0));
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(s.x(i), 50);
    EXPECT_EQ(s.y(i), 65);
  }
  EXPECT_EQ(s.scribble, constant(0));
}

TEST(BoxSampling, TakesDegenerateAndForeignBoxes) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN(), kInf = std::numeric_limits<float>::infinity();
  const Box boxes[] = {{7, 7, 7, 7},          {255, 255, 255, 255}, {256, 256, 256, 256}, {10, 3, 10, 200},
                       {3, 10, 200, 10},      {5, 5, 6, 6},         {90, 90, 20, 20},     {-50, -9, 300, 1e30F},
                       {kNan, 0, kInf, kNan}, {-kInf, kInf, 5, 5},  {0, 0, 2, 2},         {254.6F, 0, 256, 256}};
  for (const Box& box : boxes) {
    const Sample s = sample(box, constant(1));  // AddressSanitizer watches the indices
    for (const float v : s.points) {
      EXPECT_GE(v, 0);
      EXPECT_LE(v, kSide);
    }
    for (const float v : s.scribble) ASSERT_TRUE(v == 0 || v == 1);
  }
  // One pixel is an empty half-open range, as in the published slices: its center, and nothing to scribble on.
  const Sample pixel = sample({7, 9, 7, 9}, constant(1));
  EXPECT_EQ(pixel.points, (std::array<float, 8>{7, 9, 7, 9, 7, 9, 7, 9}));
  EXPECT_EQ(pixel.scribble, constant(0));
}

struct Moments {
  double area = 0, width = 0, height = 0, x = 0, y = 0;  // means; x and y of the first point
};

/// Over boxes that truncate to the same whole box, each with random numbers of its own.
Moments moments(const Box& box, const Map& foreground) {
  constexpr int kCount = 400;
  Moments m;
  for (int i = 0; i < kCount; ++i) {
    const float by = static_cast<float>(i) * 1e-4F;
    const Sample s = sample({box.x0 + by, box.y0 + by, box.x1 + by, box.y1 + by}, foreground);
    std::int64_t x0 = kSide, x1 = -1, y0 = kSide, y1 = -1;
    for (std::int64_t p = 0; p < kSide * kSide; ++p) {
      if (s.scribble[static_cast<std::size_t>(p)] == 0) continue;
      x0 = std::min(x0, p % kSide), x1 = std::max(x1, p % kSide);
      y0 = std::min(y0, p / kSide), y1 = std::max(y1, p / kSide);
    }
    m.area += s.area() / kCount;
    if (x1 >= 0)
      m.width += static_cast<double>(x1 - x0 + 1) / kCount, m.height += static_cast<double>(y1 - y0 + 1) / kCount;
    m.x += s.x(0) / kCount;
    m.y += s.y(0) / kCount;
  }
  return m;
}

// Means of the published sampler (Python, 400 draws a box, its own random numbers) on an image that is all foreground:
// scribble's area, extent in x, extent in y, pixels; first point's x and y. The standard error of its areas is 4 %.
TEST(BoxSampling, AgreesWithThePublishedSamplerInDistribution) {
  struct Published {
    Box box;
    Moments mean;
  };
  const Published cases[] = {{{40, 50, 60, 75}, {57.8, 9.1, 9.9, 47.4, 59.4}},
                             {{30, 40, 150, 150}, {249.2, 29.4, 30.1, 80.1, 86.0}},
                             {{5, 10, 245, 250}, {474.3, 54.5, 52.0, 104.6, 111.7}},
                             {{100, 100, 109, 108}, {29.5, 6.4, 5.9, 102.3, 102.2}}};
  for (const auto& [box, mean] : cases) {
    const Moments found = moments(box, constant(1));
    EXPECT_NEAR(found.area, mean.area, 0.2 * mean.area);
    EXPECT_NEAR(found.width, mean.width, 0.15 * mean.width);
    EXPECT_NEAR(found.height, mean.height, 0.15 * mean.height);
    EXPECT_NEAR(found.x, mean.x, 0.02 * (box.x1 - box.x0) + 0.2);
    EXPECT_NEAR(found.y, mean.y, 0.02 * (box.y1 - box.y0) + 0.2);
  }
}

}  // namespace
}  // namespace medsam
