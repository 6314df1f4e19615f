// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// An engine on a device with the pixel kernels gives the CPU's masks, and what stays on the device stays there.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "medsam/error.hpp"
#include "support/engine_test.hpp"
#include "support/fake_device.hpp"

namespace medsam {
namespace {

using testing::fake_device;

constexpr std::int64_t kHeight = 48, kWidth = 64;

class DevicePixels : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    testing::fake_backend().device = testing::as_device;
  }
  void TearDown() override { testing::fake_backend().device = nullptr; }

  [[nodiscard]] Engine engine(const std::string& device, const nlohmann::json& profile = {}) const {
    EngineOptions options = options_;
    options.device = device;
    auto manifest = testing::tiny_manifest();
    manifest["profile"].merge_patch(profile.is_null() ? nlohmann::json::object() : profile);
    return Engine(testing::write_tiny_bundle(folder_.path("bundle-" + device.substr(0, 3)), manifest), options);
  }
  static std::vector<Box> boxes() {
    return {{16, 8, 47, 39}, {0, 0, 9, 9}, {30, 20, 63, 47}, {5, 5, 6, 40}, {2, 3, 60, 4}};
  }
  static Prompt boxed(const Box& box) {
    Prompt prompt;
    prompt.box = box;
    return prompt;
  }
  struct Labels {
    std::vector<std::uint16_t> map;
    std::vector<MaskStats> stats;
  };
  Labels segment(const Engine& engine) {
    Labels found;
    const LabelView out = view(found.map);
    found.stats = engine.segment(image(), boxes(), out);
    return found;
  }
  static void expect_same(const MaskStats& got, const MaskStats& want) {
    EXPECT_EQ(got.area, want.area);
    EXPECT_EQ(got.x0, want.x0);
    EXPECT_EQ(got.y0, want.y0);
    EXPECT_EQ(got.x1, want.x1);
    EXPECT_EQ(got.y1, want.y1);
  }
};

TEST_F(DevicePixels, SegmentsAsTheCpuDoesByEveryRule) {
  for (const char* upsample : {"logits", "logits_at_input_size", "logits_at_prompt_frame", "probabilities"}) {
    for (const char* interpolation : {"area", "linear", "cubic", "spline", "antialiased"}) {
      const nlohmann::json profile = {{"mask", {{"upsample", upsample}}},
                                      {"image", {{"interpolation", interpolation}}}};
      const Labels want = segment(engine("CPU", profile)), got = segment(engine("cuda:0", profile));
      EXPECT_EQ(got.map, want.map) << upsample << " " << interpolation;
      for (std::size_t i = 0; i < want.stats.size(); ++i) expect_same(got.stats[i], want.stats[i]);
      EXPECT_GT(want.stats[0].area, 0);
    }
  }
}

TEST_F(DevicePixels, OnlyMasksComeToTheHost) {
  const Engine device = engine("cuda:0");
  const int reads = fake_device().host_reads, images = fake_device().images, masks = fake_device().masks;
  segment(device);
  const Prediction prediction = device.predict(device.encode(image()), {boxed(boxes()[0]), boxed(boxes()[1])});
  std::vector<std::uint16_t> labels;
  const LabelView out = view(labels);
  EXPECT_GT(prediction.write_mask(1, 0, out, 5).area, 0);
  EXPECT_EQ(fake_device().host_reads, reads) << "embedding and logits stay where they are";
  EXPECT_EQ(fake_device().images, images + 1);
  EXPECT_EQ(fake_device().masks, masks + 6);
}

TEST_F(DevicePixels, PredictsTheCpusLogitsAndMasks) {
  const Engine device = engine("cuda:0"), cpu = engine("CPU");
  std::vector<Prompt> prompts;
  for (const Box& box : boxes()) prompts.push_back(boxed(box));
  prompts[2].points = {{40, 30, 1}};  // another batch
  PredictOptions options;
  options.multimask_output = true;
  const Prediction got = device.predict(device.encode(image()), prompts, options);
  const Prediction want = cpu.predict(cpu.encode(image()), prompts, options);
  const std::size_t maps = prompts.size() * 3;
  for (std::size_t i = 0; i < maps; ++i) EXPECT_EQ(got.iou_predictions()[i], want.iou_predictions()[i]);
  for (int again = 0; again < 2; ++again) {
    EXPECT_EQ(std::memcmp(got.low_res_logits(), want.low_res_logits(), maps * 256 * sizeof(float)), 0);
  }
  for (std::size_t i = 0; i < maps; ++i) {
    std::vector<std::uint16_t> a, b;
    const LabelView to_a = view(a), to_b = view(b);
    const auto n = static_cast<std::int64_t>(i / 3), m = static_cast<std::int64_t>(i % 3);
    expect_same(got.write_mask(n, m, to_a, 7), want.write_mask(n, m, to_b, 7));
    EXPECT_EQ(a, b) << i;
  }
}

TEST_F(DevicePixels, NoPromptIsAnEmptyPrediction) {
  const Engine device = engine("cuda:0");
  const Prediction nothing = device.predict(device.encode(image()), {});
  EXPECT_EQ(nothing.size(), 0);
  EXPECT_NE(nothing.low_res_logits(), nullptr);
}

TEST_F(DevicePixels, AVolumeIsTheCpus) {
  constexpr std::int64_t kDepth = 9;
  constexpr auto kSlice = static_cast<std::size_t>(kHeight * kWidth);
  std::vector<std::int16_t> voxels(kSlice * kDepth);
  std::mt19937 random(5);
  for (auto& v : voxels) v = static_cast<std::int16_t>(random());
  const auto bytes = static_cast<std::int64_t>(kSlice) * 2;
  const VolumeView volume{voxels.data(), PixelType::i16, kDepth, kHeight, kWidth, 1, kWidth * 2, bytes};
  for (const char* choice : {"propagated", "best_iou"}) {
    const nlohmann::json profile = {{"volume", {{"choice", choice}, {"box_shift", 2}}}};
    std::vector<std::uint16_t> labels[2];
    for (const bool device : {false, true}) {
      labels[device].assign(voxels.size(), 0);
      const LabelVolumeView out{labels[device].data(), LabelType::u16, kDepth, kHeight, kWidth, kWidth * 2, bytes};
      const int reads = fake_device().host_reads;
      engine(device ? "cuda:0" : "CPU", profile)
          .segment_volume(volume, {{16, 8, 1, 47, 39, 7}, {24, 16, 2, 39, 31, 8}}, out);
      EXPECT_EQ(fake_device().host_reads, reads);
    }
    EXPECT_EQ(labels[0], labels[1]) << choice;
    EXPECT_GT(std::count(labels[0].begin(), labels[0].end(), 2), 0);
  }
}

TEST_F(DevicePixels, PixelsThatAreNotFiniteAreRefusedInTheSameWords) {
  std::vector<float> pixels(static_cast<std::size_t>(kHeight * kWidth), 3.f);
  pixels[77] = std::numeric_limits<float>::quiet_NaN();
  const ImageView image{pixels.data(), PixelType::f32, kHeight, kWidth, 1, kWidth * 4};
  std::string said[2];
  for (const bool device : {false, true}) {
    const Engine engine = this->engine(device ? "cuda:0" : "CPU");
    try {
      static_cast<void>(engine.encode(image));
      ADD_FAILURE();
    } catch (const InvalidArgument& e) {
      said[device] = e.what();
    }
    EXPECT_TRUE(engine.encode(this->image()).valid()) << "the next image is none of its business";
  }
  EXPECT_EQ(said[0], said[1]);
}

TEST_F(DevicePixels, LogitsThatAreNotFiniteAreSeenOnTheDevice) {
  const Engine device = engine("cuda:0");
  const ImageEmbedding embedding = device.encode(image());
  const int reads = fake_device().host_reads;
  testing::fake_backend().answer_nan = true;
  EXPECT_THROW(static_cast<void>(device.predict(embedding, {boxed(boxes()[0])})), BackendError);
  testing::fake_backend().answer_nan = false;
  EXPECT_EQ(fake_device().host_reads, reads);
}

TEST_F(DevicePixels, AHostsTensorMakesNoMasks) {
  const backends::HostTensor tensor({1, 1, 2, 2});
  EXPECT_FALSE(tensor.writes_masks());
  EXPECT_THROW(static_cast<void>(tensor.write_mask({0, 2, 2, 0}, {})), BackendError);
}

}  // namespace
}  // namespace medsam
