// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Who asks the decoder for parts of the logits: calls that give labels alone, and no others.
#include <gtest/gtest.h>

#include "medsam/error.hpp"
#include "support/engine_test.hpp"
#include "support/fake_backend.hpp"
#include "support/raised.hpp"

namespace medsam {
namespace {

class WantedPart : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    testing::fake_backend().parts = 0;
  }
  void TearDown() override {
    testing::fake_backend().whole_maps = false;
    testing::fake_backend().rows_missing = 0;
    testing::fake_backend().answer_nan = false;
  }
  std::string bundle_with(const char* upsample, const char* fit) {
    auto manifest = testing::tiny_manifest();
    manifest["profile"]["mask"]["upsample"] = upsample;
    manifest["profile"]["image"]["fit"] = fit;
    return testing::write_tiny_bundle(folder_.path(std::string(upsample) + fit), manifest);
  }
  /// The labels of an image and those of a volume of it, one after the other.
  std::vector<std::uint16_t> labels(const Engine& engine, std::int64_t height, std::int64_t width) {
    const auto area = static_cast<std::size_t>(height * width);
    std::vector<std::uint16_t> labels(4 * area);
    const auto w = static_cast<double>(width - 1), h = static_cast<double>(height - 1);
    const std::vector<std::uint8_t> pixels(3 * area, 9);
    engine.segment(ImageView{pixels.data(), PixelType::u8, height, width, 1, width},
                   {{0, 0, w / 2, h}, {w / 2, h / 3, w, h}}, {labels.data(), LabelType::u16, height, width, width * 2});
    engine.segment_volume({pixels.data(), PixelType::u8, 3, height, width, 1, width, height * width},
                          {{0, 0, 0, w, h / 2, 2}, {w / 3, h / 3, 1, w, h, 2}},
                          {labels.data() + area, LabelType::u16, 3, height, width, width * 2, height * width * 2});
    return labels;
  }
};

TEST_F(WantedPart, GivesTheLabelsOfWholeMaps) {
  for (const char* upsample : {"logits", "probabilities", "logits_at_input_size", "logits_at_prompt_frame"}) {
    for (const char* fit : {"longest_side", "stretch"}) {
      const Engine engine(bundle_with(upsample, fit), options_);
      for (const auto& [height, width] :
           std::vector<std::pair<std::int64_t, std::int64_t>>{{48, 64}, {64, 48}, {7, 90}, {90, 7}, {33, 33}}) {
        testing::fake_backend().whole_maps = true;
        const std::vector<std::uint16_t> expected = labels(engine, height, width);
        EXPECT_NE(expected, std::vector<std::uint16_t>(expected.size())) << "or this test shows nothing";
        testing::fake_backend().whole_maps = false;
        testing::fake_backend().parts = 0;
        EXPECT_EQ(labels(engine, height, width), expected) << upsample << " " << fit << " " << width << " x " << height;
        EXPECT_GE(testing::fake_backend().parts, 4);
      }
    }
  }
}

// Its logits are part of its answer, and may be the mask_input of the next.
TEST_F(WantedPart, IsNeverAPredictions) {
  const Engine engine(bundle_, options_);
  const ImageEmbedding embedding = engine.encode(image());
  Prompt prompt;
  prompt.box = Box{4, 4, 40, 40};
  const Prediction first = engine.predict(embedding, {prompt});
  constexpr std::int64_t kLogits = testing::kMaskSide * testing::kMaskSide;
  const std::vector<float> logits(first.low_res_logits(), first.low_res_logits() + kLogits);
  EXPECT_EQ(first.low_res_height() * first.low_res_width(), kLogits);
  EXPECT_EQ(logits.back(), -1) << "in the padding";
  std::vector<std::uint16_t> out;
  engine.segment(embedding, {*prompt.box}, view(out));
  const int parts = testing::fake_backend().parts;
  EXPECT_EQ(parts, 1);
  prompt.mask_input = logits.data();
  const Prediction second = engine.predict(embedding, {prompt});
  EXPECT_EQ(second.low_res_logits()[kLogits - 1], -2);
  EXPECT_EQ(testing::fake_backend().parts, parts);
}

TEST_F(WantedPart, AnAnswerThatHasLessIsRefused) {
  const Engine engine(bundle_, options_);
  std::vector<std::uint16_t> out;
  testing::fake_backend().rows_missing = 1;
  const std::string text = testing::raised<ModelError>([&] { engine.segment(image(), {{4, 4, 40, 40}}, view(out)); });
  EXPECT_NE(text.find("another shape"), std::string::npos) << text;
  testing::fake_backend().rows_missing = -1;
  EXPECT_EQ(testing::raised<ModelError>([&] {
              engine.segment(image(), {{4, 4, 40, 40}}, view(out));
            }),
            "none")
      << "more than was asked for is no harm";
  testing::fake_backend().rows_missing = -17;
  EXPECT_NE(testing::raised<ModelError>([&] {
              engine.segment(image(), {{4, 4, 40, 40}}, view(out));
            }),
            "none")
      << "larger than the whole map";
}

}  // namespace
}  // namespace medsam
