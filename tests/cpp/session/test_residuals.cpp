// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// How far what a correction added, and what it took away, is carried.
#include "session/residuals.hpp"

#include <gtest/gtest.h>

#include <cstdint>

namespace medsam::session {
namespace {

constexpr std::int64_t kPlanes = 40, kKey = 20;

/// Columns 10 to `last` of 40 x 60 pixels.
PlaneMask bar(std::int64_t last) {
  PlaneMask mask(40, 60);
  for (std::int64_t y = 5; y < 35; ++y) {
    for (std::int64_t x = 10; x <= last; ++x) mask.row(y)[x] = 1;
  }
  return mask;
}

/// The area of a bar in another plane after the key plane was corrected, less that before.
std::int64_t change_at(std::int64_t away, std::int64_t corrected_last) {
  Residuals residuals(kPlanes);
  residuals.add(kKey, bar(29), bar(corrected_last));
  const std::int64_t before = bar(29).area();
  const std::int64_t after = residuals.applied(kKey + away, bar(29)).area();
  EXPECT_EQ(after, residuals.applied(kKey - away, bar(29)).area()) << "both ways alike";
  return after - before;
}

TEST(Residuals, WhatACorrectionAddedReachesFartherThanWhatItTookAway) {
  EXPECT_GT(change_at(1, 36), 0);
  EXPECT_GT(change_at(10, 36), 0);
  EXPECT_EQ(change_at(16, 36), 0) << "0.4 of 40 planes";
  EXPECT_LT(change_at(1, 22), 0);
  EXPECT_LT(change_at(4, 22), 0);
  EXPECT_EQ(change_at(6, 22), 0) << "0.15 of 40 planes";
}

TEST(Residuals, LessIsCarriedWithTheDistance) {
  for (std::int64_t away = 1; away < 15; ++away) EXPECT_GE(change_at(away, 36), change_at(away + 1, 36)) << away;
  for (std::int64_t away = 1; away < 6; ++away) EXPECT_LE(change_at(away, 22), change_at(away + 1, 22)) << away;
}

TEST(Residuals, ACorrectionThatChangedNothingHoldsTheOthersBack) {
  Residuals residuals(kPlanes);
  residuals.add(kKey, bar(29), bar(36));
  residuals.add(kKey + 4, bar(29), bar(29));
  const std::int64_t alone = change_at(3, 36);
  EXPECT_LT(residuals.applied(kKey + 3, bar(29)).area() - bar(29).area(), alone);
  EXPECT_EQ(residuals.applied(kKey + 8, bar(29)).values, bar(29).values);
}

}  // namespace
}  // namespace medsam::session
