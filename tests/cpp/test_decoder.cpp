// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "decoder.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "medsam/error.hpp"

namespace medsam {
namespace {

ImageGeometry square() { return image_geometry(64, 64, 32, 32, Fit::longest_side); }

TEST(PromptTokens, ABoxIsItsTwoCorners) {
  const PromptTokens tokens = prompt_tokens({Box{4, 6, 20, 30}, {}, nullptr}, square(), {}, 0);
  EXPECT_EQ(tokens.labels, (std::vector<std::int32_t>{2, 3}));
  EXPECT_EQ(tokens.coords, (std::vector<float>{2, 3, 10, 15}));
}

TEST(PromptTokens, PointsWithoutABoxGetOneNotAPoint) {
  const PromptTokens tokens = prompt_tokens({std::nullopt, {{8, 2, 1}, {4, 6, 0}}, nullptr}, square(), {}, 0);
  EXPECT_EQ(tokens.labels, (std::vector<std::int32_t>{1, 0, -1}));
  EXPECT_EQ(tokens.coords, (std::vector<float>{4, 1, 2, 3, 0, 0}));
}

TEST(PromptTokens, PointsComeBeforeTheBoxAndNeedNoPadding) {
  const PromptTokens tokens = prompt_tokens({Box{0, 0, 2, 2}, {{8, 2, 1}}, nullptr}, square(), {}, 0);
  EXPECT_EQ(tokens.labels, (std::vector<std::int32_t>{1, 2, 3}));
}

TEST(PromptTokens, PaddingPointsLeaveNoTrace) {
  const Prompt plain{std::nullopt, {{8, 2, 1}}, nullptr};
  const Prompt padded{std::nullopt, {{0, 0, -1}, {8, 2, 1}, {std::nan(""), 0, -1}}, nullptr};
  EXPECT_EQ(prompt_tokens(plain, square(), {}, 0).labels, prompt_tokens(padded, square(), {}, 0).labels);
  EXPECT_EQ(prompt_tokens(plain, square(), {}, 0).coords, prompt_tokens(padded, square(), {}, 0).coords);
}

TEST(PromptTokens, NothingIsNoPrompt) {
  EXPECT_THROW(prompt_tokens({}, square(), {}, 0), InvalidArgument);
  EXPECT_THROW(prompt_tokens({std::nullopt, {{0, 0, -1}}, nullptr}, square(), {}, 0), InvalidArgument);
  const float mask[1] = {0};
  EXPECT_NO_THROW(prompt_tokens({std::nullopt, {}, mask}, square(), {}, 0));
}

TEST(PromptTokens, TheBoxRoundingIsTheProfiles) {
  PromptRules rules;
  rules.box_rounding = BoxRounding::truncate;
  const PromptTokens tokens = prompt_tokens({Box{3, 5, 21, 31}, {}, nullptr}, square(), rules, 0);
  EXPECT_EQ(tokens.coords, (std::vector<float>{1, 2, 10, 15}));
}

}  // namespace
}  // namespace medsam
