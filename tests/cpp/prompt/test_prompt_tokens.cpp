// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "prompt/prompt_tokens.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "medsam/error.hpp"

namespace medsam {
namespace {

ImageGeometry square() { return image_geometry(64, 64, 32, 32, Fit::longest_side); }

PromptTokens tokens_of(const Prompt& prompt, const PromptRules& rules = {}, const PromptEncoding& encoding = {}) {
  const ImageGeometry geometry = square();
  return prompt_tokens(prompt, {geometry, rules, encoding, nullptr, 16, 16}, 0);
}

PromptEncoding with_masks(MaskInput kind) {
  PromptEncoding encoding;
  encoding.mask_input = kind;
  return encoding;
}

TEST(PromptTokens, ABoxIsItsTwoCorners) {
  const PromptTokens tokens = tokens_of({Box{4, 6, 20, 30}, {}, nullptr, {}});
  EXPECT_EQ(tokens.labels, (std::vector<std::int32_t>{2, 3}));
  EXPECT_EQ(tokens.coords, (std::vector<float>{2, 3, 10, 15}));
}

TEST(PromptTokens, PointsWithoutABoxGetOneNotAPoint) {
  const PromptTokens tokens = tokens_of({std::nullopt, {{8, 2, 1}, {4, 6, 0}}, nullptr, {}});
  EXPECT_EQ(tokens.labels, (std::vector<std::int32_t>{1, 0, -1}));
  EXPECT_EQ(tokens.coords, (std::vector<float>{4, 1, 2, 3, 0, 0}));
}

TEST(PromptTokens, ThereIsALimitOfPoints) {
  Prompt prompt;
  prompt.points.assign(kMostPromptPoints, {8, 2, 1});
  EXPECT_EQ(tokens_of(prompt).labels.size(), kMostPromptPoints + 1);
  prompt.points.push_back({8, 2, 1});
  try {
    tokens_of(prompt);
    FAIL();
  } catch (const InvalidArgument& e) {
    EXPECT_NE(std::string(e.what()).find("got 1025 points, expected at most 1024"), std::string::npos) << e.what();
  }
}

TEST(PromptTokens, PointsComeBeforeTheBoxAndNeedNoPadding) {
  const PromptTokens tokens = tokens_of({Box{0, 0, 2, 2}, {{8, 2, 1}}, nullptr, {}});
  EXPECT_EQ(tokens.labels, (std::vector<std::int32_t>{1, 2, 3}));
}

TEST(PromptTokens, PaddingPointsLeaveNoTrace) {
  const Prompt plain{std::nullopt, {{8, 2, 1}}, nullptr, {}};
  const Prompt padded{std::nullopt, {{0, 0, -1}, {8, 2, 1}, {std::nan(""), 0, -1}}, nullptr, {}};
  EXPECT_EQ(tokens_of(plain).labels, tokens_of(padded).labels);
  EXPECT_EQ(tokens_of(plain).coords, tokens_of(padded).coords);
}

// A box whose points are all padding is a box alone: it gets the points and the scribble that are drawn in it.
TEST(PromptTokens, ABoxWithPaddingIsABoxAlone) {
  PromptEncoding drawing = with_masks(MaskInput::scribble);
  drawing.from_box = FromBox::points_and_scribble;
  const ImageGeometry geometry = square();
  const PromptRules rules;
  const std::vector<float> foreground(32 * 32, 1.0f);
  const PromptContext context{geometry, rules, drawing, foreground.data(), 32, 32};
  const PromptTokens alone = prompt_tokens({Box{4, 6, 50, 60}, {}, nullptr, {}}, context, 0);
  const PromptTokens padded = prompt_tokens({Box{4, 6, 50, 60}, {{0, 0, -1}}, nullptr, {}}, context, 0);
  EXPECT_EQ(alone.labels, (std::vector<std::int32_t>{1, 1, 1, 1, 2, 3}));
  EXPECT_EQ(padded.labels, alone.labels);
  EXPECT_EQ(padded.coords, alone.coords);
  EXPECT_EQ(padded.drawn, alone.drawn);
}

TEST(PromptTokens, NothingIsNoPrompt) {
  EXPECT_THROW(tokens_of({}), InvalidArgument);
  EXPECT_THROW(tokens_of({std::nullopt, {{0, 0, -1}}, nullptr, {}}), InvalidArgument);
  const float mask[1] = {0};
  EXPECT_NO_THROW(tokens_of({std::nullopt, {}, mask, {}}, {}, with_masks(MaskInput::logits)));
}

TEST(PromptTokens, TheBoxRoundingIsTheProfiles) {
  PromptRules rules;
  rules.box_rounding = BoxRounding::truncate;
  const PromptTokens tokens = tokens_of({Box{3, 5, 21, 31}, {}, nullptr, {}}, rules);
  EXPECT_EQ(tokens.coords, (std::vector<float>{1, 2, 10, 15}));
}

TEST(PromptTokens, TheCropIsWhatThePublishedSliceTakes) {
  const PromptTokens tokens = tokens_of({Box{3.7, 5, 21.9, 31}, {}, nullptr, {}});
  EXPECT_EQ(tokens.crop_box.x0, 3);
  EXPECT_EQ(tokens.crop_box.y0, 5);
  EXPECT_EQ(tokens.crop_box.x1, 21) << "the last column is left out";
  EXPECT_EQ(tokens.crop_box.y1, 31);
  const PromptTokens thin = tokens_of({Box{7, 63, 7, 63}, {}, nullptr, {}});
  EXPECT_EQ(thin.crop_box.x1 - thin.crop_box.x0, 1);
  EXPECT_EQ(thin.crop_box.y1, 64);
}

TEST(PromptTokens, WhatTheModelDoesNotTakeIsUnsupported) {
  PromptEncoding boxes_only;
  boxes_only.points = false;
  EXPECT_NO_THROW(tokens_of({Box{4, 6, 20, 30}, {}, nullptr, {}}, {}, boxes_only));
  EXPECT_THROW(tokens_of({Box{4, 6, 20, 30}, {{5, 7, 1}}, nullptr, {}}, {}, boxes_only), Unsupported);
  EXPECT_THROW(tokens_of({std::nullopt, {{5, 7, 1}}, nullptr, {}}, {}, boxes_only), Unsupported);
  const float mask[1] = {0};
  EXPECT_THROW(tokens_of({Box{4, 6, 20, 30}, {}, mask, {}}), Unsupported);
  const std::vector<std::uint8_t> strokes(64 * 64, 1);
  EXPECT_THROW(tokens_of({Box{4, 6, 20, 30}, {}, nullptr, ScribbleView{strokes.data(), 64, 64, 64}}, {},
                         with_masks(MaskInput::logits)),
               Unsupported);
}

TEST(PromptTokens, AScribbleMarksTheCellsOfItsPixels) {
  std::vector<std::uint8_t> strokes(64 * 70, 0);
  strokes[0] = 1;
  strokes[63 * 70 + 63] = 255;
  strokes[8 * 70 + 21] = 1;
  const PromptTokens tokens = tokens_of({Box{4, 6, 20, 30}, {}, nullptr, ScribbleView{strokes.data(), 64, 64, 70}}, {},
                                        with_masks(MaskInput::scribble));
  ASSERT_EQ(tokens.drawn.size(), 16u * 16u);
  for (int i = 0; i < 16 * 16; ++i) {
    const bool marked = i == 0 || i == 15 * 16 + 15 || i == 2 * 16 + 5;
    EXPECT_EQ(tokens.drawn[static_cast<std::size_t>(i)], marked ? 1.0f : 0.0f) << i;
  }
  EXPECT_EQ(tokens.mask(), tokens.drawn.data());
}

TEST(PromptTokens, AScribbleMustBeOfTheImagesSizeAndNotEmpty) {
  const std::vector<std::uint8_t> strokes(64 * 64, 0);
  const auto draw = [&](std::int64_t height, std::int64_t width) {
    return tokens_of({std::nullopt, {}, nullptr, ScribbleView{strokes.data(), height, width, width}}, {},
                     with_masks(MaskInput::scribble));
  };
  EXPECT_THROW(draw(64, 64), InvalidArgument) << "nothing drawn";
  EXPECT_THROW(draw(32, 64), InvalidArgument);
  const float mask[1] = {0};
  EXPECT_THROW(tokens_of({std::nullopt, {}, mask, ScribbleView{strokes.data(), 64, 64, 64}}, {},
                         with_masks(MaskInput::scribble)),
               InvalidArgument);
}

// An oblong image and an oblong frame of masks: 16 x 8 pixels lie in a frame of 32 at twice the size, and 4 x 8 cells
// divide the frame, so that a cell is 4 x 2 pixels.
class OblongPrompt : public ::testing::Test {
 protected:
  [[nodiscard]] PromptTokens tokens_of(const Prompt& prompt, std::int64_t index = 0) const {
    return prompt_tokens(prompt, {geometry_, rules_, encoding_, nullptr, 8, 4}, index);
  }

  // What the error says, "" when there is none.
  [[nodiscard]] std::string refusal(const Prompt& prompt, std::int64_t index = 0) const {
    try {
      static_cast<void>(tokens_of(prompt, index));
    } catch (const InvalidArgument& error) {
      return error.what();
    }
    return "";
  }

  ImageGeometry geometry_ = image_geometry(8, 16, 32, 32, Fit::longest_side);
  PromptRules rules_;
  PromptEncoding encoding_ = with_masks(MaskInput::scribble);
};

TEST_F(OblongPrompt, EveryDrawnPixelMarksTheCellThatHoldsIt) {
  constexpr std::int64_t stride = 20;  // what lies right of the image is no part of the scribble
  for (std::int64_t y = 0; y < 8; ++y) {
    for (std::int64_t x = 0; x < 16; ++x) {
      std::vector<std::uint8_t> strokes(8 * stride, 0);
      for (std::int64_t row = 0; row < 8; ++row) strokes[static_cast<std::size_t>(row * stride + 16)] = 1;
      strokes[static_cast<std::size_t>(y * stride + x)] = 1;
      std::vector<float> expected(8 * 4, 0.0f);
      expected[static_cast<std::size_t>(y / 2 * 4 + x / 4)] = 1.0f;
      EXPECT_EQ(tokens_of({std::nullopt, {}, nullptr, ScribbleView{strokes.data(), 8, 16, stride}}).drawn, expected)
          << x << " " << y;
    }
  }
}

TEST_F(OblongPrompt, AScribbleOfAnotherSizeIsRefused) {
  const std::vector<std::uint8_t> strokes(40 * 40, 1);
  const auto draw = [&](const std::uint8_t* data, std::int64_t height, std::int64_t width, std::int64_t stride) {
    return refusal({std::nullopt, {}, nullptr, ScribbleView{data, height, width, stride}}, 3);
  };
  EXPECT_EQ(draw(strokes.data(), 8, 16, 16), "");
  EXPECT_EQ(draw(strokes.data(), 7, 16, 16),
            "scribble of prompt 3: got 16 x 7 (width x height), expected the image's size 16 x 8 and rows at least as "
            "long");
  EXPECT_NE(draw(strokes.data(), 8, 15, 16), "");
  EXPECT_NE(draw(strokes.data(), 16, 8, 16), "") << "height and width exchanged";
  EXPECT_NE(draw(strokes.data(), 8, 16, 15), "") << "rows that overlap";
  EXPECT_NE(draw(nullptr, 8, 16, 16), "");
}

TEST_F(OblongPrompt, AScribbleAndAMaskAreTwoMasks) {
  const std::vector<std::uint8_t> strokes(8 * 16, 1);
  const float mask[8 * 4] = {};
  EXPECT_EQ(refusal({std::nullopt, {}, mask, ScribbleView{strokes.data(), 8, 16, 16}}, 2),
            "prompt 2: got a scribble and a mask_input, expected one of them");
}

TEST_F(OblongPrompt, EveryPointAndEveryBoxIsCheckedAgainstItsOwnSide) {
  EXPECT_EQ(refusal({std::nullopt, {{15, 7, 1}}, nullptr, {}}), "");
  EXPECT_NE(refusal({std::nullopt, {{7, 15, 1}}, nullptr, {}}), "");
  EXPECT_EQ(refusal({std::nullopt, {{1, 1, 1}, {2, 9, 1}}, nullptr, {}}, 7).rfind("point 1 of prompt 7: got (2, 9)", 0),
            0u);
  EXPECT_EQ(refusal({Box{0, 0, 15, 7}, {}, nullptr, {}}), "");
  EXPECT_EQ(refusal({Box{0, 0, 7, 15}, {}, nullptr, {}}, 5).rfind("boxes[5]: got (0, 0, 7, 15)", 0), 0u);
  EXPECT_EQ(refusal({Box{0, 0, 15, 7}, {{1, 1, 1}}, nullptr, {}}), "");
  EXPECT_EQ(refusal({Box{0, 0, 7, 15}, {{1, 1, 1}}, nullptr, {}}, 5).rfind("boxes[5]: got (0, 0, 7, 15)", 0), 0u);
}

TEST_F(OblongPrompt, ABoxWithAPointHasItsCornersAndItsCrop) {
  const PromptTokens tokens = tokens_of({Box{1, 2, 11, 6}, {{3, 4, 0}}, nullptr, {}});
  EXPECT_EQ(tokens.labels, (std::vector<std::int32_t>{0, 2, 3}));
  EXPECT_EQ(tokens.coords, (std::vector<float>{6, 8, 2, 4, 22, 12}));
  EXPECT_EQ(tokens.crop_box.x0, 1);
  EXPECT_EQ(tokens.crop_box.y0, 2);
  EXPECT_EQ(tokens.crop_box.x1, 11);
  EXPECT_EQ(tokens.crop_box.y1, 6);
}

TEST(PromptTokens, AMaskOfTheCallersIsHandedOn) {
  const float mask[16 * 16] = {};
  const PromptTokens tokens = tokens_of({std::nullopt, {{8, 2, 1}}, mask, {}}, {}, with_masks(MaskInput::logits));
  EXPECT_EQ(tokens.mask(), mask);
  EXPECT_EQ(tokens_of({std::nullopt, {{8, 2, 1}}, nullptr, {}}).mask(), nullptr);
}

// A box right of and below the diagonal, so that x and y cannot be taken for each other.
TEST(PromptTokens, PointsDrawnInABoxLieInIt) {
  PromptEncoding drawing = with_masks(MaskInput::scribble);
  drawing.from_box = FromBox::points_and_scribble;
  const ImageGeometry geometry = square();
  const PromptRules rules;
  const std::vector<float> foreground(32 * 32, 1.0f);
  const PromptContext context{geometry, rules, drawing, foreground.data(), 32, 32};
  const PromptTokens tokens = prompt_tokens({Box{4, 40, 20, 60}, {}, nullptr, {}}, context, 0);
  ASSERT_EQ(tokens.coords.size(), 12u);
  for (std::size_t i = 0; i < tokens.coords.size(); i += 2) {
    EXPECT_GE(tokens.coords[i], 2) << i;
    EXPECT_LE(tokens.coords[i], 10) << i;
    EXPECT_GE(tokens.coords[i + 1], 20) << i;
    EXPECT_LE(tokens.coords[i + 1], 30) << i;
  }
  EXPECT_EQ(tokens.crop_box.x0, 4);
  EXPECT_EQ(tokens.crop_box.y1, 60);
}

}  // namespace
}  // namespace medsam
