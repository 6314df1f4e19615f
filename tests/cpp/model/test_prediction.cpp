// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The mask rules of a profile, on logits whose crossing can be worked out by hand.
#include "model/prediction.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "support/engine_test.hpp"

namespace medsam {
namespace {

// The mask of 2 x 2 logits whose columns are (left, right), on an 8 x 8 image in a square input: its width in pixels.
std::int64_t mask_width(float left, float right, MaskUpsample upsample, int input = 4, int frame = 4) {
  auto logits = std::make_shared<backends::HostTensor>(backends::Shape{1, 1, 2, 2});
  for (int i = 0; i < 4; ++i) logits->mutable_host()[i] = i % 2 == 0 ? left : right;
  std::vector<std::uint8_t> out(64, 0);
  MaskRules rules;
  rules.upsample = upsample;
  const ImageGeometry geometry = image_geometry(8, 8, input, frame, Fit::longest_side);
  const MaskStats stats = write_label({logits, 0, 2, 2}, geometry, rules, {out.data(), LabelType::u8, 8, 8, 8}, 1);
  EXPECT_EQ(stats.area, 8 * (stats.x1 + 1));
  return stats.x1 + 1;
}

TEST(MaskUpsample, OfLogitsCrossesWhereTheLineThroughThemDoes) {
  // Pixel x lies at t = 0.25 x - 0.375 between the two columns; 5 -> -1 crosses at t = 5/6, 9 -> -1 at 0.9.
  EXPECT_EQ(mask_width(5, -1, MaskUpsample::logits), 5);
  EXPECT_EQ(mask_width(9, -1, MaskUpsample::logits), 6);
}

TEST(MaskUpsample, OfProbabilitiesCrossesElsewhere) {
  // sigmoid(9) = 0.9999, sigmoid(-1) = 0.2689: 0.5 is crossed at t = 0.684.
  EXPECT_EQ(mask_width(9, -1, MaskUpsample::probabilities), 5);
}

TEST(MaskUpsample, ByWayOfTheInputSizeIsNotOneStep) {
  // 5, -1 at side 4 is 5, 3.5, 0.5, -1; at pixel 5 of 8 that is 0.125.
  EXPECT_EQ(mask_width(5, -1, MaskUpsample::logits_at_input_size), 6);
}

TEST(MaskUpsample, ByWayOfThePromptFrameDoesNotDependOnTheInput) {
  EXPECT_EQ(mask_width(5, -1, MaskUpsample::logits_at_prompt_frame, 2, 4), 6);
  EXPECT_EQ(mask_width(5, -1, MaskUpsample::logits_at_input_size, 2, 4), 5);
}

class LabelRules : public EngineTest {};

TEST_F(LabelRules, Modulo256MakesBox256Erase) {
  auto manifest = testing::tiny_manifest();
  const std::vector<Box> boxes(257, Box{0, 0, 63, 47});
  std::vector<std::uint16_t> labels;
  for (const char* rule : {"modulo_256", "count"}) {
    manifest["profile"]["mask"]["labels"] = rule;
    const Engine engine(testing::write_tiny_bundle(folder_.path(rule), manifest), options_);
    const bool modulo = std::string(rule) == "modulo_256";
    const LabelView out = view(labels);
    engine.segment(image(), {boxes.begin(), boxes.begin() + 256}, out);
    EXPECT_EQ(labels[0], modulo ? 0 : 256);
    engine.segment(image(), boxes, out);
    EXPECT_EQ(labels[0], modulo ? 1 : 257);
  }
}

}  // namespace
}  // namespace medsam
