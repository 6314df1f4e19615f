// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// How the answers to the boxes round a click are told apart.
#include "session/rated_frame.hpp"

#include <gtest/gtest.h>

#include <limits>

#include <cstdint>

namespace medsam::session {
namespace {

Judged answer(const FrameBox& box, double score) {
  Judged judged;
  judged.holds = true;
  judged.score = score;
  judged.box = box;
  judged.part = PlaneMask(20, 30);
  for (std::int64_t y = box.y0; y <= box.y1; ++y) {
    for (std::int64_t x = box.x0; x <= box.x1; ++x) judged.part.row(y)[x] = 1;
  }
  return judged;
}

TEST(RatedFrame, OfTwoScoresNearlyEqualTheOneThatOthersAgreeWithWins) {
  // 10 x 10 pixels from two boxes, and a part of them, 5 x 5, which scores a little more.
  for (const double part_score : {0.501, 0.499}) {
    Judged object = answer({2, 2, 11, 11}, 0.5), again = answer({2, 2, 11, 11}, 0.4);
    Judged part = answer({2, 2, 6, 6}, part_score);
    favor_agreement({&object, &part, &again});
    EXPECT_GT(object.score, part.score);
    EXPECT_GT(object.score, again.score);
  }
}

TEST(RatedFrame, AgreementIsTheSquaredIouWeightedByTheScores) {
  Judged large = answer({0, 0, 9, 9}, 0.5), small = answer({5, 0, 14, 9}, 0.25);  // IoU 50 of 150
  favor_agreement({&large, &small});
  EXPECT_NEAR(large.score, 0.5 * (0.5 + 0.25 / 9), 1e-12);
  EXPECT_NEAR(small.score, 0.25 * (0.25 + 0.5 / 9), 1e-12);
}

TEST(RatedFrame, AMuchBetterAnswerWinsAlone) {
  Judged best = answer({2, 2, 6, 6}, 0.9);
  Judged a = answer({0, 0, 19, 19}, 0.2), b = answer({0, 0, 19, 19}, 0.2);
  favor_agreement({&best, &a, &b});
  EXPECT_GT(best.score, a.score);
  EXPECT_DOUBLE_EQ(a.score, b.score);
}

TEST(RatedFrame, OneWhoseScoreIsNoNumberLosesAlone) {
  Judged object = answer({2, 2, 11, 11}, 0.5), part = answer({2, 2, 6, 6}, 0.4);
  Judged strange = answer({2, 2, 11, 11}, std::numeric_limits<double>::quiet_NaN());
  favor_agreement({&strange, &object, &part});
  EXPECT_EQ(strange.score, 0);
  EXPECT_GT(object.score, part.score);
  EXPECT_GT(part.score, 0);
}

}  // namespace
}  // namespace medsam::session
