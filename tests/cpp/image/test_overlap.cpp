// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "image/overlap.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace medsam {
namespace {

TEST(PaintOrder, IsTheOrderGivenOrTheLargestFirst) {
  EXPECT_EQ(paint_order({4, 9, 9, 1}, Overlap::later), (std::vector<std::size_t>{0, 1, 2, 3}));
  EXPECT_EQ(paint_order({4, 9, 9, 1}, Overlap::smaller_box), (std::vector<std::size_t>{1, 2, 0, 3}));
  EXPECT_TRUE(paint_order({}, Overlap::later).empty());
}

TEST(RanksOf, FollowTheOrder) {
  EXPECT_EQ(ranks_of({1, 2, 0}), (std::vector<std::uint32_t>{0, 3, 1, 2}));
  EXPECT_EQ(ranks_of({}), std::vector<std::uint32_t>{0});
}

template <class M, class T>
void expect_painted(LabelType mask_type, LabelType type) {
  std::vector<M> mask = {9, 0, 9, 9, 0, 0, 9, 9};       // 2 rows of 4
  std::vector<T> out = {0, 0, 1, 3, 9, 0, 0, 2, 0, 9};  // rows of 4 that are 5 apart
  const LabelView from{mask.data(), mask_type, 2, 4, 4 * std::int64_t{sizeof(M)}};
  const LabelView to{out.data(), type, 2, 4, 5 * std::int64_t{sizeof(T)}};
  paint_by_rank(from, {5, 0, 0, 3, 1, 0}, to, 2, {0, 1, 2, 3});
  EXPECT_EQ(out, (std::vector<T>{2, 0, 2, 3, 9, 0, 0, 2, 2, 9})) << "label 1 gives way, label 3 does not";
  EXPECT_EQ(mask, std::vector<M>(8)) << "cleared for the next";
}

TEST(PaintByRank, TheHigherRankKeepsAPixel) {
  expect_painted<std::uint8_t, std::uint8_t>(LabelType::u8, LabelType::u8);
  expect_painted<std::uint8_t, std::uint16_t>(LabelType::u8, LabelType::u16);
  expect_painted<std::uint16_t, std::uint32_t>(LabelType::u16, LabelType::u32);
}

TEST(PaintByRank, AnEmptyMaskPaintsNothing) {
  std::vector<std::uint8_t> mask(4), out = {1, 2, 3, 0};
  paint_by_rank({mask.data(), LabelType::u8, 2, 2, 2}, {0, 0, 0, -1, -1, 0}, {out.data(), LabelType::u8, 2, 2, 2}, 4,
                {0, 1, 2, 3, 4});
  EXPECT_EQ(out, (std::vector<std::uint8_t>{1, 2, 3, 0}));
}

}  // namespace
}  // namespace medsam
