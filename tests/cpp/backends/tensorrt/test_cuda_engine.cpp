// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What an engine on a CUDA device answers, and what crosses the bus for it.
#include <gtest/gtest.h>

#include <limits>
#include <thread>
#include <vector>

#include "support/cuda_engine.hpp"

namespace medsam::backends {
namespace {

TEST_F(CudaEngine, GivesTheCpusMasks) {
  const Engine cuda = engine("cuda:0"), cpu = engine("CPU");
  std::vector<Prompt> prompts(21);  // a batch of 16, of 4 and of 1
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const auto x = static_cast<double>(i);
    prompts[i].box = Box{x, 5, x + 12, 25};
    if (i % 3 == 0) prompts[i].points = {{x + 4, 20, 1}};
  }
  const ImageEmbedding embedding = cuda.encode(image()), other = cpu.encode(image());
  for (const bool multimask : {false, true}) {
    PredictOptions options;
    options.multimask_output = multimask;
    const Prediction got = cuda.predict(embedding, prompts, options), want = cpu.predict(other, prompts, options);
    const std::size_t masks = prompts.size() * (multimask ? 3 : 1);
    for (std::size_t i = 0; i < masks; ++i) {
      EXPECT_NEAR(got.iou_predictions()[i], want.iou_predictions()[i], 1e-5) << i;
    }
    for (std::size_t i = 0; i < masks * 256; ++i) {
      ASSERT_NEAR(got.low_res_logits()[i], want.low_res_logits()[i], 1e-5) << i;
    }
  }
}

TEST_F(CudaEngineOnStandIn, GivesTheCpusVeryBytes) {
  const Engine cuda = engine("cuda:0"), cpu = engine("CPU");
  const std::vector<Box> boxes{{3, 3, 20, 20}, {8, 1, 49, 39}, {0, 30, 12, 33}};
  std::vector<std::uint16_t> labels[2];
  std::vector<MaskStats> stats[2];
  for (const bool device : {false, true}) {
    labels[device].assign(40 * 50, 7);
    stats[device] = (device ? cuda : cpu).segment(image(), boxes, {labels[device].data(), LabelType::u16, 40, 50, 100});
  }
  EXPECT_EQ(labels[0], labels[1]);
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    EXPECT_EQ(stats[1][i].area, stats[0][i].area);
    EXPECT_EQ(stats[1][i].x1, stats[0][i].x1);
  }
  EXPECT_GT(stats[0][0].area, 0);
}

TEST_F(CudaEngineOnStandIn, OnlyPixelsAndMasksCrossTheBus) {
  const Engine cuda = engine("cuda:0");
  const testing::BusCounts start = bus();
  const ImageEmbedding embedding = cuda.encode(image());
  const testing::BusCounts encoded = bus();
  EXPECT_EQ(encoded.to_device - start.to_device, 40 * 50) << "the pixels";
  EXPECT_EQ(encoded.to_host - start.to_host, 8) << "whether embedding and image are finite";
  std::vector<Prompt> prompts(4);
  for (std::size_t i = 0; i < 4; ++i) prompts[i].box = Box{static_cast<double>(i), 5, 30, 25};
  const Prediction prediction = cuda.predict(embedding, prompts);
  const testing::BusCounts decoded = bus();
  EXPECT_EQ(decoded.to_device - encoded.to_device, 4 * (16 + 8) + 4) << "corners, labels, the mask's index";
  EXPECT_EQ(decoded.to_host - encoded.to_host, 4 * 4 + 12) << "ratings, and whether all is finite";
  std::vector<std::uint8_t> labels(40 * 50);
  static_cast<void>(prediction.write_mask(2, 0, {labels.data(), LabelType::u8, 40, 50, 50}, 9));
  const testing::BusCounts written = bus();
  EXPECT_EQ(written.to_device, decoded.to_device);
  EXPECT_EQ(written.to_host - decoded.to_host, 40 * 50 + 64) << "the mask and its counts";
  static_cast<void>(cuda.segment(embedding, {{3, 3, 20, 20}}, {labels.data(), LabelType::u8, 40, 50, 50}));
  EXPECT_EQ(bus().to_host - written.to_host, 4 + 12 + 40 * 50 + 64);
}

TEST_F(CudaEngine, AnImageOfNaNIsRefusedAndTheNextIsNot) {
  const Engine cuda = engine("cuda:0");
  std::vector<float> pixels(40 * 50, 1.f);
  pixels[5] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(static_cast<void>(cuda.encode({pixels.data(), PixelType::f32, 40, 50, 1, 200})), InvalidArgument);
  pixels[5] = 2;
  EXPECT_TRUE(cuda.encode({pixels.data(), PixelType::f32, 40, 50, 1, 200}).valid());
}

TEST_F(CudaEngine, MasksAreMadeByManyThreadsAtOnce) {
  const Engine cuda = engine("cuda:0");
  std::vector<Prompt> prompts(6);
  for (std::size_t i = 0; i < prompts.size(); ++i) prompts[i].box = Box{static_cast<double>(2 * i), 5, 40, 25};
  const Prediction prediction = cuda.predict(cuda.encode(image()), prompts);
  std::vector<std::vector<std::uint8_t>> once, many(prompts.size());
  const auto write = [&](std::size_t n) {
    std::vector<std::uint8_t> labels(40 * 50);
    static_cast<void>(
        prediction.write_mask(static_cast<std::int64_t>(n), 0, {labels.data(), LabelType::u8, 40, 50, 50}, 3));
    return labels;
  };
  for (std::size_t n = 0; n < prompts.size(); ++n) once.push_back(write(n));
  std::vector<std::thread> threads;
  for (std::size_t n = 0; n < prompts.size(); ++n) {
    threads.emplace_back([&, n] {
      for (int i = 0; i < 5; ++i) many[n] = write(n);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(many, once);
  EXPECT_NE(once[0], once[5]);
}

TEST_F(CudaEngine, TakesBackASavedEmbedding) {
  const Engine cuda = engine("cuda:0");
  const ImageEmbedding made = cuda.encode(image());
  const std::string bytes = made.serialize();
  const ImageEmbedding loaded = ImageEmbedding::deserialize(bytes.data(), bytes.size());
  Prompt prompt;
  prompt.box = Box{3, 3, 20, 20};
  EXPECT_EQ(cuda.predict(loaded, {prompt}).iou_predictions()[0], cuda.predict(made, {prompt}).iou_predictions()[0]);
}

TEST_F(CudaEngine, IsTheFirstWhereNoneIsNamed) {
  EXPECT_EQ(create_backend("cuda")->device_id(), "cuda:0");
  EXPECT_EQ(create_backend("cuda:0")->device_id(), "cuda:0");
}

TEST_F(CudaEngine, MorePointsThanAPlanTakesIsUnsupportedAndTheNextCallWorks) {
  const Engine cuda = engine("cuda:0");
  const ImageEmbedding embedding = cuda.encode(image());
  Prompt prompt;
  for (int i = 0; i < 70; ++i) prompt.points.push_back({1.0 * (i % 30), 5, 1});
  try {
    static_cast<void>(cuda.predict(embedding, {prompt}));
    FAIL();
  } catch (const Unsupported& e) {
    expect_names(e.what(), "point_coords");
    expect_names(e.what(), "64");
  }
  prompt.points.resize(3);
  EXPECT_EQ(cuda.predict(embedding, {prompt}).size(), 1);
}

}  // namespace
}  // namespace medsam::backends
