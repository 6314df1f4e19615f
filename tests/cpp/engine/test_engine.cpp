// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "medsam/engine.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <random>
#include <thread>

#include "support/engine_test.hpp"
#include "support/system.hpp"
#include "support/tiny_bundle.hpp"

namespace medsam {
namespace {

TEST_F(EngineTest, DescribesWhatItRuns) {
  const Engine engine(bundle_, options_);
  EXPECT_EQ(engine.info().family, "tiny");
  EXPECT_EQ(engine.info().profile, "tiny");
  EXPECT_EQ(engine.info().precision, "f32");
  EXPECT_EQ(engine.info().input_size, testing::kInputSize);
  EXPECT_EQ(engine.info().embedding_shape, (std::vector<std::int64_t>{1, 4, 8, 8}));
  EXPECT_TRUE(engine.info().accepts_mask);
}

TEST_F(EngineTest, EncodesThroughThePreKernelIntoTheModel) {
  const Engine engine(bundle_, options_);
  // 64 x 32, left half 0 and right half 255: exactly 2:1 to 32 x 16, so the input is 0 | 1 and zero padding below.
  std::vector<std::uint8_t> pixels(64 * 32);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = i % 64 < 32 ? 0 : 255;
  const ImageEmbedding embedding = engine.encode({pixels.data(), PixelType::u8, 32, 64, 1, 64});
  EXPECT_EQ(embedding.height(), 32);
  EXPECT_EQ(embedding.width(), 64);
  for (int i = 0; i < 8; ++i) {
    for (int j = 0; j < 8; ++j) {
      EXPECT_EQ(embedding.data()[i * 8 + j], i < 4 && j >= 4 ? 1.0f : 0.0f) << i << "," << j;
      EXPECT_EQ(embedding.data()[64 + i * 8 + j], i < 4 && j >= 4 ? 2.0f : 1.0f) << i << "," << j;
    }
  }
  EXPECT_EQ(embedding.bytes(), 4u * 8 * 8 * 4);
}

TEST_F(EngineTest, SegmentsABoxAtItsPlace) {
  const Engine engine(bundle_, options_);
  std::vector<std::uint16_t> labels;
  const LabelView out = view(labels);
  const auto stats = engine.segment(image(), {{16, 8, 47, 39}}, out);
  ASSERT_EQ(stats.size(), 1u);
  // Image -> mask frame is 1/4; logits are +-1, so edges lie within one mask pixel (4 image pixels) of the box.
  EXPECT_NEAR(static_cast<double>(stats[0].x0), 16, 4);
  EXPECT_NEAR(static_cast<double>(stats[0].y0), 8, 4);
  EXPECT_NEAR(static_cast<double>(stats[0].x1), 47, 4);
  EXPECT_NEAR(static_cast<double>(stats[0].y1), 39, 4);
  EXPECT_EQ(stats[0].area, std::count(labels.begin(), labels.end(), 1));
  EXPECT_EQ(std::count(labels.begin(), labels.end(), 999), 0) << "background must be written too";
}

TEST_F(EngineTest, TheLaterBoxWins) {
  const Engine engine(bundle_, options_);
  std::vector<std::uint16_t> one, both;
  engine.segment(image(), {{0, 0, 40, 40}}, view(one));
  const LabelView out = view(both);
  engine.segment(image(), {{0, 0, 40, 40}, {20, 20, 60, 44}}, out);
  for (std::size_t i = 0; i < both.size(); ++i) {
    if (both[i] == 1) {
      EXPECT_EQ(one[i], 1);
    }
  }
  EXPECT_EQ(both[30 * 64 + 30], 2);
}

TEST_F(EngineTest, ZeroPromptsAreAnEmptyAnswer) {
  const Engine engine(bundle_, options_);
  EXPECT_EQ(engine.predict(engine.encode(image()), {}).size(), 0);
  std::vector<std::uint16_t> labels;
  const LabelView out = view(labels);
  EXPECT_TRUE(engine.segment(image(), {}, out).empty());
  EXPECT_EQ(std::count(labels.begin(), labels.end(), 0), 64 * 48);
}

TEST_F(EngineTest, APromptsAnswerDoesNotDependOnItsNeighbors) {
  const Engine engine(bundle_, options_);
  const ImageEmbedding embedding = engine.encode(image());
  std::vector<Prompt> prompts;
  for (int i = 0; i < 40; ++i) {
    Prompt prompt;
    if (i % 3 != 1) prompt.box = Box{1.0 * i, 2, 20.0 + i, 30};
    if (i % 3 != 0) prompt.points.push_back({30, 20, 1});
    if (i % 5 == 4) prompt.points.push_back({3, 2, 0});
    prompts.push_back(prompt);
  }
  const Prediction all = engine.predict(embedding, prompts);
  ASSERT_EQ(all.size(), 40);
  const std::int64_t size = all.low_res_height() * all.low_res_width();
  for (std::int64_t i = 0; i < 40; ++i) {
    const Prediction one = engine.predict(embedding, {prompts[static_cast<std::size_t>(i)]});
    EXPECT_TRUE(std::equal(one.low_res_logits(), one.low_res_logits() + size, all.low_res_logits() + i * size)) << i;
  }
}

TEST_F(EngineTest, MultimaskGivesTheThreeAlternatives) {
  const Engine engine(bundle_, options_);
  PredictOptions options;
  options.multimask_output = true;
  const Prediction answer = engine.predict(engine.encode(image()), {{Box{0, 0, 63, 47}, {}, nullptr}}, options);
  EXPECT_EQ(answer.masks_per_prompt(), 3);
  const std::int64_t size = answer.low_res_height() * answer.low_res_width();
  EXPECT_FLOAT_EQ(answer.low_res_logits()[0], 1.01f);
  EXPECT_FLOAT_EQ(answer.low_res_logits()[2 * size], 1.03f);
  EXPECT_NEAR(answer.iou_predictions()[2] - answer.iou_predictions()[0], 0.2, 1e-6);
}

TEST_F(EngineTest, AMaskInputGoesToTheMaskDecoder) {
  const Engine engine(bundle_, options_);
  const ImageEmbedding embedding = engine.encode(image());
  const std::vector<float> mask(testing::kMaskSide * testing::kMaskSide, 5.0f);
  const Prediction answer = engine.predict(embedding, {{Box{0, 0, 63, 47}, {}, mask.data()}});
  EXPECT_FLOAT_EQ(answer.low_res_logits()[0], 6.0f);
  // Beside a prompt without a mask, in one call, each gets the answer it gets alone.
  const Prediction both =
      engine.predict(embedding, {{Box{0, 0, 63, 47}, {}, nullptr}, {Box{0, 0, 63, 47}, {}, mask.data()}});
  EXPECT_EQ(both.low_res_logits()[testing::kMaskSide * testing::kMaskSide], answer.low_res_logits()[0]);
  EXPECT_EQ(both.low_res_logits()[0], answer.low_res_logits()[0] - 5.0f);
  std::vector<float> bad = mask;
  bad[9] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(static_cast<void>(engine.predict(embedding, {{Box{0, 0, 1, 1}, {}, bad.data()}})), InvalidArgument);
}

TEST_F(EngineTest, ABundleWithoutAMaskDecoderRefusesMasksOnly) {
  auto manifest = testing::tiny_manifest();
  manifest["models"].erase("decoder_mask");
  manifest["prompt"]["mask_input"] = nullptr;
  const Engine engine(testing::write_tiny_bundle(folder_.path("plain"), manifest), options_);
  EXPECT_FALSE(engine.info().accepts_mask);
  const ImageEmbedding embedding = engine.encode(image());
  const std::vector<float> mask(testing::kMaskSide * testing::kMaskSide, 0.0f);
  EXPECT_THROW(static_cast<void>(engine.predict(embedding, {{Box{0, 0, 1, 1}, {}, mask.data()}})), Unsupported);
  EXPECT_EQ(engine.predict(embedding, {{Box{0, 0, 1, 1}, {}, nullptr}}).size(), 1);
}

TEST_F(EngineTest, WriteMaskChecksItsArguments) {
  const Engine engine(bundle_, options_);
  const Prediction answer = engine.predict(engine.encode(image()), {{Box{0, 0, 63, 47}, {}, nullptr}});
  std::vector<std::uint16_t> labels;
  const LabelView out = view(labels);
  EXPECT_EQ(answer.write_mask(0, 0, out, 7).area, 64 * 48);
  EXPECT_EQ(labels[0], 7);
  EXPECT_THROW(answer.write_mask(1, 0, out), InvalidArgument);
  EXPECT_THROW(answer.write_mask(0, 1, out), InvalidArgument);
  EXPECT_THROW(answer.write_mask(-1, 0, out), InvalidArgument);
  EXPECT_THROW(answer.write_mask(0, 0, {labels.data(), LabelType::u16, 47, 64, 128}), InvalidArgument);
  EXPECT_THROW(answer.write_mask(0, 0, out, 70000), InvalidArgument);
}

TEST_F(EngineTest, RefusesAnEmbeddingOfAnotherModel) {
  auto manifest = testing::tiny_manifest();
  manifest["profile"]["image"]["interpolation"] = "linear";  // the same weights, other pixels
  const Engine engine(bundle_, options_);
  const Engine other(testing::write_tiny_bundle(folder_.path("other"), manifest), options_);
  EXPECT_THROW(static_cast<void>(other.predict(engine.encode(image()), {{Box{0, 0, 1, 1}, {}, nullptr}})), ModelError);
  EXPECT_THROW(static_cast<void>(engine.predict(ImageEmbedding(), {{Box{0, 0, 1, 1}, {}, nullptr}})), InvalidArgument);
  const Engine same(bundle_, options_);
  EXPECT_EQ(same.predict(engine.encode(image()), {{Box{0, 0, 1, 1}, {}, nullptr}}).size(), 1);
}

TEST_F(EngineTest, RefusesOptionsItDoesNotKnow) {
  const auto with = [&](auto&& change) {
    EngineOptions options = options_;
    change(options);
    return options;
  };
  EXPECT_THROW(Engine(bundle_, with([](auto& o) { o.device = "TPU"; })), Unsupported);
  EXPECT_THROW(Engine(bundle_, with([](auto& o) { o.profile = "nope"; })), InvalidArgument);
  EXPECT_THROW(Engine(bundle_, with([](auto& o) { o.threads = -1; })), InvalidArgument);
  EXPECT_THROW(Engine(folder_.path("absent"), options_), ModelError);
  EXPECT_EQ(Engine(bundle_, with([](auto& o) { o.profile = "clinical"; })).info().profile, "clinical");
}

TEST_F(EngineTest, NotANumberInTheImageIsAnError) {
  const Engine engine(bundle_, options_);
  std::vector<float> pixels(16 * 16, 0.5f);
  pixels[100] = std::numeric_limits<float>::infinity();
  EXPECT_THROW(static_cast<void>(engine.encode({pixels.data(), PixelType::f32, 16, 16, 1, 64})), InvalidArgument);
}

TEST_F(EngineTest, TheSameImageIsEncodedOnce) {
  const Engine engine(bundle_, options_);
  const ImageEmbedding first = engine.encode(image());
  const ImageEmbedding second = engine.encode(image());
  EXPECT_EQ(first.data(), second.data());
  EXPECT_EQ(engine.cache_stats().hits, 1u);
  EXPECT_EQ(engine.cache_stats().misses, 1u);
  EXPECT_EQ(engine.cache_stats().bytes, first.bytes());
  pixels_[5] = static_cast<std::uint8_t>(pixels_[5] + 1);
  static_cast<void>(engine.encode(image()));
  EXPECT_EQ(engine.cache_stats().misses, 2u);
  engine.clear_cache();
  EXPECT_EQ(engine.cache_stats().entries, 0u);
}

TEST_F(EngineTest, CancelsBetweenBatches) {
  const Engine engine(bundle_, options_);
  std::vector<Box> boxes(100, Box{0, 0, 63, 47});
  std::vector<std::uint16_t> labels;
  const LabelView out = view(labels);
  SegmentOptions options;
  int asked = 0;
  options.cancelled = [&] { return ++asked == 3; };
  EXPECT_THROW(engine.segment(image(), boxes, out, options), Cancelled);
  EXPECT_EQ(asked, 3);
}

TEST_F(EngineTest, IsUsableFromManyThreads) {
  const Engine engine(bundle_, options_);
  const ImageView view_in = image();
  std::vector<std::uint16_t> expected;
  const LabelView expected_view = view(expected);
  engine.segment(view_in, {{3, 4, 50, 40}}, expected_view);
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        std::vector<std::uint16_t> labels;
        const LabelView out = view(labels);
        engine.segment(view_in, {{3, 4, 50, 40}}, out);
        if (labels != expected) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(EngineTest, APredictionOutlivesItsEngine) {
  auto engine = std::make_unique<Engine>(bundle_, options_);
  const Prediction answer = engine->predict(engine->encode(image()), {{Box{0, 0, 63, 47}, {}, nullptr}});
  const ImageEmbedding embedding = engine->encode(image());
  engine.reset();
  std::vector<std::uint16_t> labels;
  EXPECT_EQ(answer.write_mask(0, 0, view(labels)).area, 64 * 48);
  EXPECT_TRUE(std::isfinite(embedding.data()[0]));
}

TEST_F(EngineTest, AForkedChildGetsAClearError) {
  const Engine engine(bundle_, options_);
  const ImageView view_in = image();
  const ImageEmbedding embedding = engine.encode(view_in);
  std::vector<std::uint16_t> labels;
  const LabelView out = view(labels);
  const VolumeView volume{view_in.data, PixelType::u8, 1, 48, 64, 1, 64, 48 * 64};
  const LabelVolumeView volume_out{labels.data(), LabelType::u16, 1, 48, 64, 128, 48 * 128};
  const std::function<void()> calls[] = {
      [&] { static_cast<void>(engine.encode(view_in)); },
      [&] {
        static_cast<void>(engine.predict(embedding, {{Box{1, 1, 9, 9}, {}, nullptr}}));
      },
      [&] {
        engine.segment(view_in, {Box{1, 1, 9, 9}}, out);
      },
      [&] {
        engine.segment(view_in, {}, out, {[] { return true; }, ""});
      },
      [&] {
        engine.segment(embedding, {Box{1, 1, 9, 9}}, out);
      },
      [&] {
        engine.segment_volume(volume, {Box3D{1, 1, 0, 9, 9, 0}}, volume_out);
      },
      [&] { static_cast<void>(engine.cache_stats()); },
      [&] { engine.clear_cache(); },
  };
  const auto ended = testing::in_a_child([&] {
    int code = 0, number = 0;
    for (const auto& call : calls) {
      ++number;
      try {
        call();
        code = number;
      } catch (const Unsupported& e) {
        if (std::string(e.what()).find("fork") == std::string::npos) code = number;
      } catch (const std::exception&) {
        code = number;
      }
    }
    // What has no threads behind it can still be read.
    if (engine.info().family.empty() || embedding.serialize().empty()) code = 100;
    return code;
  });
  if (!ended) GTEST_SKIP() << "no fork";
  EXPECT_EQ(*ended, 0) << "the call of that number was not refused";
}

TEST_F(EngineTest, ReportsAnUnusableCacheAndGoesOn) {
  std::string logged;
  testing::write_file(folder_.path("file"), "");
  options_.cache_dir = folder_.path("file/below");
  options_.log = [&](LogLevel level, const std::string& text) {
    EXPECT_EQ(level, LogLevel::warning);
    logged = text;
  };
  const Engine engine(bundle_, options_);
  EXPECT_NE(logged.find("cache folder"), std::string::npos);
  EXPECT_TRUE(engine.encode(image()).valid());
}

TEST(Library, KnowsItsVersion) { EXPECT_STREQ(version(), MEDSAM_ENGINE_TEST_VERSION); }

}  // namespace
}  // namespace medsam
