// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Sections of superellipsoids, the mean of answers and the Gaussian along z, against their formulas.
#include "volume/sections.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "volume/fused_logits.hpp"

namespace medsam {
namespace {

const std::vector<double> kExponents = {4, 2};

TEST(Sections, TheMiddleIsTheBoxItself) {
  EXPECT_EQ(section_boxes({3, 4, 20, 11}, 0, kExponents, true), (std::vector<Corners>{{3, 4, 20, 11}}));
  EXPECT_EQ(section_boxes({3.5, 4, 20, 11.25}, 0, kExponents, false), (std::vector<Corners>{{3.5, 4, 20, 11.25}}));
}

TEST(Sections, ASideIsThatOfTheSuperellipsoid) {
  // |x / a|^p + |t|^p = 1 with half the side a.
  for (const double exponent : {2.0, 3.0, 4.0}) {
    for (const double t : {-0.9, -0.3, 0.2, 0.5, 0.8}) {
      const std::vector<Corners> boxes = section_boxes({10, 20, 50, 30}, t, {exponent}, false);
      ASSERT_EQ(boxes.size(), 1u);
      const double share = std::pow(1 - std::pow(std::abs(t), exponent), 1 / exponent);
      EXPECT_NEAR(boxes[0][0], 30 - 20 * share, 1e-12);
      EXPECT_NEAR(boxes[0][2], 30 + 20 * share, 1e-12);
      EXPECT_NEAR(boxes[0][1], 25 - 5 * share, 1e-12);
      EXPECT_NEAR(boxes[0][3], 25 + 5 * share, 1e-12);
    }
  }
}

TEST(Sections, AMirroredBoxHasMirroredSections) {
  std::mt19937 random(3);
  const auto any = [&](int below) { return static_cast<double>(random() % static_cast<unsigned>(below)); };
  for (int n = 0; n < 2000; ++n) {
    const double x0 = any(200), y0 = any(200), t = (any(2001) - 1000) / 1000;
    const Corners box{x0, y0, x0 + any(56), y0 + any(56)}, mirrored{255 - box[2], box[1], 255 - box[0], box[3]};
    const std::vector<Corners> a = section_boxes(box, t, kExponents, true);
    std::vector<Corners> b = section_boxes(mirrored, -t, kExponents, true);
    for (Corners& c : b) c = {255 - c[2], c[1], 255 - c[0], c[3]};
    EXPECT_EQ(a, b);
    for (const Corners& c : a) {
      EXPECT_TRUE(c[0] >= box[0] && c[2] <= box[2] && c[1] >= box[1] && c[3] <= box[3]);
      EXPECT_TRUE(c[0] <= c[2] && c[1] <= c[3]) << "a section is never inside out";
      EXPECT_EQ(c[0], std::floor(c[0]));
    }
  }
}

TEST(Sections, AreNotAskedTwice) {
  EXPECT_EQ(section_boxes({7, 7, 7, 7}, 0.7, kExponents, true).size(), 1u);
  EXPECT_EQ(section_boxes({0, 0, 200, 200}, 0.7, kExponents, true).size(), 2u);
}

TEST(Stability, IsTheShareThatStays) {
  const float map[] = {2, 0, -2, 9, 2, 2, -0.5f, 9};
  EXPECT_DOUBLE_EQ(stability({map, 2, 3, 4}, {2, 3}), 3.0 / 5);
  EXPECT_DOUBLE_EQ(stability({map, 2, 3, 4}, {1, 3}), 1.0 / 2) << "of what shows the image";
  const float none[] = {-2, -3};
  EXPECT_EQ(stability({none, 1, 2, 2}, {1, 2}), 0);
}

TEST(FusedLogits, AreTheMeanByRatingTimesStability) {
  const float a[] = {2, -2, 2, -2}, b[] = {4, 0, 4, 0};  // stabilities 1 and 1/2
  FusedLogits fused(4);
  fused.add({a, 2, 2, 2}, {2, 2}, 0.5f);
  fused.add({b, 2, 2, 2}, {2, 2}, 0.9f);
  const FusedLogits::Mean mean = fused.take();
  const double wa = std::pow(0.5, 4), wb = std::pow(0.45, 4);
  EXPECT_NEAR(mean.logits[0], (2 * wa + 4 * wb) / (wa + wb), 1e-6);
  EXPECT_NEAR(mean.logits[1], -2 * wa / (wa + wb), 1e-6);
  EXPECT_NEAR(mean.rating, (0.5 * wa + 0.9 * wb) / (wa + wb), 1e-6);
  fused.add({b, 2, 2, 2}, {2, 2}, -3.0f);  // whatever it is rated, one answer is its own mean
  const FusedLogits::Mean alone = fused.take();
  EXPECT_EQ(alone.logits, (std::vector<float>{4, 0, 4, 0}));
  EXPECT_EQ(alone.rating, -3.0f);
}

TEST(SmoothedPlanes, AreTheGaussianWithItsEndsRepeated) {
  constexpr std::int64_t kFirst = 5, kLast = 17;
  std::mt19937 random(4);
  std::vector<std::vector<float>> planes;
  for (std::int64_t z = kFirst; z <= kLast; ++z) {
    std::vector<float> plane(1500);  // more than are summed at once
    for (float& v : plane) v = static_cast<float>(random() % 1000) / 50 - 10;
    planes.push_back(plane);
  }
  for (const double sigma : {0.0, 0.6, 1.0, 4.0}) {
    SmoothedPlanes smoothed(kFirst, kLast, sigma);
    for (const std::int64_t z : {kFirst + 6, kFirst, kLast, kFirst + 2}) {
      for (const std::int64_t i : smoothed.missing(z)) smoothed.put(i, planes[static_cast<std::size_t>(i - kFirst)]);
      const std::vector<float> got = smoothed.take(z);
      const auto radius = static_cast<std::int64_t>(std::ceil(3 * sigma));
      for (std::size_t p = 0; p < got.size(); p += 97) {
        double sum = 0, weights = 0;
        for (std::int64_t d = -radius; d <= radius; ++d) {
          const double weight = d == 0 ? 1 : std::exp(-static_cast<double>(d * d) / (2 * sigma * sigma));
          sum += weight * planes[static_cast<std::size_t>(std::clamp(z + d, kFirst, kLast) - kFirst)][p];
          weights += weight;
        }
        EXPECT_NEAR(got[p], sum / weights, 1e-5) << "sigma " << sigma << ", plane " << z;
      }
    }
  }
}

TEST(SmoothedPlanes, MissWhatWasNotPut) {
  SmoothedPlanes planes(0, 9, 1);
  EXPECT_EQ(planes.missing(0), (std::vector<std::int64_t>{0, 1, 2, 3}));
  planes.put(1, {1});
  EXPECT_EQ(planes.missing(4), (std::vector<std::int64_t>{2, 3, 4, 5, 6, 7}));
}

}  // namespace
}  // namespace medsam
