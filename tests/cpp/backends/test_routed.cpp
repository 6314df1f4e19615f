// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A bundle that asks for more than boxes: experts, a modality, crops, outputs beside the embedding; over a real
// backend.
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>

#include "medsam/engine.hpp"
#include "support/tiny_bundle.hpp"

namespace medsam {
namespace {

namespace fs = std::filesystem;

class RoutedTest : public ::testing::Test {
 protected:
  void SetUp() override {
    bundle_ = testing::copy_bundle("tiny_routed", folder_.path("b"));
    options_.cache_dir = folder_.path("cache");
    options_.profile = "";
    // Left half 51 (0.2 of 255), right half 204 (0.8): min-max makes them 0 and 1, so the input's mean is 1/2.
    pixels_.resize(32 * 32);
    for (std::size_t i = 0; i < pixels_.size(); ++i) pixels_[i] = i % 32 < 16 ? 51 : 204;
  }
  [[nodiscard]] ImageView image() const { return {pixels_.data(), PixelType::u8, 32, 32, 1, 32}; }
  static Prompt box(double x0, double x1) {
    Prompt prompt;
    prompt.box = Box{x0, 4, x1, 20};
    return prompt;
  }
  // What the graphs compute for a box over one color.
  static float answer(float modality, float color, float brightness) {
    return modality + 10 * 2 * color + 100 * color + 1000 * brightness;
  }

  testing::TemporaryFolder folder_;
  std::string bundle_;
  EngineOptions options_;
  std::vector<std::uint8_t> pixels_;
};

TEST_F(RoutedTest, FillsEveryInputByItsName) {
  const Engine engine(bundle_, options_);
  const ImageEmbedding embedding = engine.encode(image(), {"CT"});
  std::vector<Prompt> prompts;
  for (int i = 0; i < 7; ++i) prompts.push_back(i % 2 == 0 ? box(1, 14) : box(18, 31));
  const Prediction prediction = engine.predict(embedding, prompts);
  for (int i = 0; i < 7; ++i) {
    const float expected = answer(3, i % 2 == 0 ? 0.2f : 0.8f, 0.5f);
    EXPECT_NEAR(prediction.iou_predictions()[i], expected, 1e-2f) << i;
    EXPECT_NEAR(prediction.low_res_logits()[i * 256], expected, 1e-2f) << i;
  }
}

TEST_F(RoutedTest, TheModalityPicksTheExpertAndTheIndex) {
  const Engine engine(bundle_, options_);
  const auto ask = [&](const std::string& modality) {
    return engine.predict(engine.encode(image(), {modality}), {box(1, 14)}).iou_predictions()[0];
  };
  EXPECT_NEAR(ask("CT"), answer(3, 0.2f, 0.5f), 1e-2f);
  EXPECT_NEAR(ask("mr"), answer(7, 0.2f, 1.0f), 1e-2f);
  EXPECT_NEAR(ask("US"), answer(1, 0.2f, 0.5f), 1e-2f) << "falls back to expert a, with its own index";
  EXPECT_NEAR(ask("CT"), answer(3, 0.2f, 0.5f), 1e-2f) << "the cache must not serve another modality's";
  EXPECT_EQ(engine.cache_stats().misses, 2u) << "CT and US share an encoder and so an embedding";
  EXPECT_THROW(ask(""), InvalidArgument);
  EXPECT_THROW(ask("OCT"), InvalidArgument);
}

TEST_F(RoutedTest, TheEnginesModalityServesImagesWithoutOne) {
  options_.modality = "MR";
  options_.expert_limit = 1;
  const Engine engine(bundle_, options_);
  const ImageEmbedding embedding = engine.encode(image());
  static_cast<void>(engine.encode(image(), {"CT"}));  // with one expert at a time, MR's goes
  EXPECT_NEAR(engine.predict(embedding, {box(1, 14)}).iou_predictions()[0], answer(7, 0.2f, 1.0f), 1e-2f);
  options_.modality = "catscan";
  EXPECT_THROW(Engine(bundle_, options_), InvalidArgument);
}

TEST_F(RoutedTest, ASavedEmbeddingKeepsItsPixelsAndModality) {
  const Engine engine(bundle_, options_);
  const std::string bytes = engine.encode(image(), {"MR"}).serialize();
  const Engine other(bundle_, options_);
  const ImageEmbedding embedding = ImageEmbedding::deserialize(bytes.data(), bytes.size());
  EXPECT_NEAR(other.predict(embedding, {box(18, 31)}).iou_predictions()[0], answer(7, 0.8f, 1.0f), 1e-2f);
}

TEST_F(RoutedTest, PixelsOfUnknownRangeAreRefused) {
  const Engine engine(bundle_, options_);
  const std::vector<std::uint16_t> deep(32 * 32, 7);
  EXPECT_THROW(engine.encode({deep.data(), PixelType::u16, 32, 32, 1, 64}, {"CT"}), InvalidArgument);
}

TEST_F(RoutedTest, DescribesWhatItAsksFor) {
  const Engine engine(bundle_, options_);
  EXPECT_EQ(engine.info().experts, (std::vector<std::string>{"a", "b"}));
  EXPECT_FALSE(engine.info().accepts_points);
  EXPECT_FALSE(engine.info().accepts_mask);
  EXPECT_TRUE(engine.info().needs_modality);
  Prompt points;
  points.points = {{3, 3, 1}};
  EXPECT_THROW(engine.predict(engine.encode(image(), {"CT"}), {points}), Unsupported);
}

TEST_F(RoutedTest, ExpertsShareEqualModels) {
  const Engine engine(bundle_, options_);
  for (const char* modality : {"CT", "MR"}) static_cast<void>(engine.encode(image(), {modality}));
  std::size_t compiled = 0;
  for (const auto& entry : fs::directory_iterator(folder_.path("cache/compiled"))) {
    compiled += entry.is_regular_file() ? 1 : 0;
  }
  EXPECT_EQ(compiled, 4u) << "two encoders, one decoder, one crop encoder";
}

TEST_F(RoutedTest, AVolumePropagatesWithCrops) {
  const Engine engine(bundle_, options_);
  std::vector<std::uint8_t> voxels;
  for (int z = 0; z < 3; ++z) voxels.insert(voxels.end(), pixels_.begin(), pixels_.end());
  std::vector<std::uint16_t> labels(voxels.size());
  VolumeOptions options;
  options.modality = "CT";
  const auto stats =
      engine.segment_volume({voxels.data(), PixelType::u8, 3, 32, 32, 1, 32, 32 * 32}, {{1, 4, 0, 14, 20, 2}},
                            {labels.data(), LabelType::u16, 3, 32, 32, 64, 2048}, options);
  EXPECT_EQ(stats.at(0).voxels, 3 * 32 * 32) << "every logit is positive";
  options.modality = "";
  EXPECT_THROW(engine.segment_volume({voxels.data(), PixelType::u8, 3, 32, 32, 1, 32, 32 * 32}, {{1, 4, 0, 14, 20, 2}},
                                     {labels.data(), LabelType::u16, 3, 32, 32, 64, 2048}, options),
               InvalidArgument);
}

}  // namespace
}  // namespace medsam
