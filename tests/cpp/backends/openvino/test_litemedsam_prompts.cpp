// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Points on LiteMedSAM's released weights, which have only seen boxes, in C++ and in C: refused, and with
// allow_untrained answered as by a bundle that claims to know them. Skipped without the bundle of `make bundle`.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "medsam/engine.hpp"
#include "medsam/medsam.h"
#include "support/tiny_bundle.hpp"

namespace medsam {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kSide = 96;

class LiteMedSamPrompts : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* named = std::getenv("MEDSAM_ENGINE_BUNDLE");
    bundle_ = named != nullptr ? fs::path(named) : fs::path(MEDSAM_ENGINE_TEST_DATA) / "../../build/bundles/litemedsam";
    if (!fs::exists(bundle_ / "manifest.json")) GTEST_SKIP() << "no bundle at " << bundle_ << "; run `make bundle`";
    options_.cache_dir = folder_.path("cache");
    options_.threads = 2;
    for (std::int64_t y = 0; y < kSide; ++y) {
      for (std::int64_t x = 0; x < kSide; ++x) {
        pixels_.push_back((x - 50) * (x - 50) + (y - 45) * (y - 45) < 500 ? 200 : 40);
      }
    }
    click_.points = {{50, 45, 1}};
  }

  [[nodiscard]] ImageView image() const { return {pixels_.data(), PixelType::u8, kSide, kSide, 1, kSide}; }

  // The same models, their manifest claiming that the weights know points.
  std::string claiming_points() {
    const fs::path copy = folder_.path("claiming");
    fs::create_directory(copy);
    for (const auto& entry : fs::directory_iterator(bundle_)) {
      if (entry.path().filename() != "manifest.json") fs::copy_file(entry.path(), copy / entry.path().filename());
    }
    std::ifstream file(bundle_ / "manifest.json");
    nlohmann::json manifest = nlohmann::json::parse(file);
    manifest["trained_prompts"] = nlohmann::json::parse(R"([["box"], ["points"]])");
    testing::write_file((copy / "manifest.json").string(), manifest.dump());
    return copy.string();
  }

  testing::TemporaryFolder folder_;
  fs::path bundle_;
  EngineOptions options_;
  std::vector<std::uint8_t> pixels_;
  Prompt click_;
};

TEST_F(LiteMedSamPrompts, CppRefusesPointsUnlessAllowed) {
  const Engine engine(bundle_.string(), options_), claiming(claiming_points(), options_);
  EXPECT_EQ(engine.info().trained_prompts, std::vector<PromptKinds>{PromptKinds::box});
  const ImageEmbedding embedding = engine.encode(image());
  try {
    static_cast<void>(engine.predict(embedding, {click_}));
    FAIL() << "answered";
  } catch (const Unsupported& error) {
    EXPECT_STREQ(error.what(),
                 "prompt 0: got points, which the weights of litemedsam were not trained with (trained: box); give a "
                 "box alone, or set allow_untrained (--allow-untrained) for research");
  }
  PredictOptions allowed;
  allowed.allow_untrained = true;
  const Prediction got = engine.predict(embedding, {click_}, allowed);
  const Prediction wanted = claiming.predict(claiming.encode(image()), {click_});
  const auto count = static_cast<std::size_t>(got.low_res_height() * got.low_res_width());
  EXPECT_TRUE(std::equal(wanted.low_res_logits(), wanted.low_res_logits() + count, got.low_res_logits()));
}

TEST_F(LiteMedSamPrompts, CRefusesPointsUnlessAllowed) {
  medsam_engine_options options;
  ASSERT_EQ(medsam_engine_options_init(&options, sizeof options), MEDSAM_OK);
  options.cache_dir = options_.cache_dir.c_str();
  options.threads = options_.threads;
  medsam_engine* engine = nullptr;
  ASSERT_EQ(medsam_engine_create(bundle_.string().c_str(), &options, &engine), MEDSAM_OK) << medsam_last_error();
  const medsam_image view{pixels_.data(), MEDSAM_PIXEL_U8, 1, kSide, kSide, kSide};
  medsam_embedding* embedding = nullptr;
  ASSERT_EQ(medsam_encode(engine, &view, nullptr, &embedding), MEDSAM_OK) << medsam_last_error();
  medsam_prompt prompt;
  ASSERT_EQ(medsam_prompt_init(&prompt, sizeof prompt), MEDSAM_OK);
  const medsam_point point{50, 45, 1, 0};
  prompt.points = &point;
  prompt.point_count = 1;
  medsam_prediction* prediction = nullptr;
  EXPECT_EQ(medsam_predict(engine, embedding, &prompt, 1, nullptr, &prediction), MEDSAM_UNSUPPORTED);
  EXPECT_NE(std::string(medsam_last_error()).find("(trained: box); give a box alone"), std::string::npos)
      << medsam_last_error();
  medsam_predict_options how;
  ASSERT_EQ(medsam_predict_options_init(&how, sizeof how), MEDSAM_OK);
  how.allow_untrained = 1;
  ASSERT_EQ(medsam_predict(engine, embedding, &prompt, 1, &how, &prediction), MEDSAM_OK) << medsam_last_error();

  const Engine cpp(bundle_.string(), options_);
  PredictOptions allowed;
  allowed.allow_untrained = true;
  const Prediction wanted = cpp.predict(cpp.encode(image()), {click_}, allowed);
  std::vector<float> got(static_cast<std::size_t>(wanted.low_res_height() * wanted.low_res_width()));
  EXPECT_EQ(medsam_prediction_read_logits(prediction, got.data(), got.size()), MEDSAM_OK);
  EXPECT_TRUE(std::equal(got.begin(), got.end(), wanted.low_res_logits()));
  medsam_prediction_destroy(prediction);
  medsam_embedding_destroy(embedding);
  medsam_engine_destroy(engine);
}

}  // namespace
}  // namespace medsam
