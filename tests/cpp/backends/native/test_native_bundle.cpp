// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A bundle of native weights alone on the real kernels: an engine from its files to masks, and files that do not belong
// together.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "backends/backend.hpp"
#include "backends/processor.hpp"
#include "base/sha256.hpp"
#include "medsam/engine.hpp"
#include "medsam/error.hpp"
#include "support/raised.hpp"
#include "support/sam_decoder_file.hpp"
#include "support/tiny_bundle.hpp"

namespace medsam {
namespace {

using nlohmann::json;

constexpr std::int64_t kGrid = 16, kSide = 4 * kGrid, kChannels = 256, kHeight = 48, kWidth = 64;

class NativeBundle : public ::testing::Test {
 protected:
  void SetUp() override {
    if (backends::create_native("CPU") == nullptr) GTEST_SKIP() << "no fast products on this processor";
    testing::TinyVitSizes sizes;
    sizes.neck = kChannels;
    const std::string encoder = testing::tiny_vit_file(sizes).bytes();
    const std::string decoder = testing::sam_decoder_file(kGrid).bytes();
    std::filesystem::create_directories(bundle_);
    manifest_["prompt"]["frame"] = kSide;
    for (auto& [role, model] : manifest_["models"].items()) {
      for (const char* side : {"inputs", "outputs"}) {
        for (json& tensor : model[side]) tensor["shape"] = shape_of(tensor["name"], tensor["shape"]);
      }
      const std::string& bytes = role == "encoder" ? encoder : decoder;
      json& fused = manifest_["fused"][role] = model;
      fused["file"] = role == "encoder" ? "encoder.fused.safetensors" : "decoder.fused.safetensors";
      fused["bytes"] = bytes.size();
      fused["sha256"] = sha256_hex(bytes);
      testing::write_file(bundle_ + "/" + fused["file"].get<std::string>(), bytes);
    }
    testing::remove_graphs(manifest_);
    write();
    options_.cache_dir = folder_.path("cache");
    options_.profile = "";
    std::mt19937 random(1);
    pixels_.resize(kHeight * kWidth);
    for (auto& p : pixels_) p = static_cast<std::uint8_t>(random());
  }
  static json shape_of(const std::string& tensor, const json& shape) {
    if (tensor == "image_embedding") return {shape[0], kChannels, kGrid, kGrid};
    if (tensor == "low_res_logits") return {-1, -1, kSide, kSide};
    if (tensor == "mask_input") return {-1, 1, kSide, kSide};
    return shape;
  }
  void write() { testing::write_file(bundle_ + "/manifest.json", manifest_.dump()); }
  [[nodiscard]] ImageView image() const { return {pixels_.data(), PixelType::u8, kHeight, kWidth, 1, kWidth}; }
  static std::vector<float> logits(const Prediction& prediction) {
    return {prediction.low_res_logits(), prediction.low_res_logits() + kSide * kSide};
  }
  std::string refusal() {
    return testing::raised<ModelError>([&] { Engine(bundle_, options_); });
  }

  testing::TemporaryFolder folder_;
  std::string bundle_ = folder_.path("bundle");
  json manifest_ = testing::tiny_manifest();
  EngineOptions options_;
  std::vector<std::uint8_t> pixels_;
};

TEST_F(NativeBundle, GivesMasksInF32AndAgainFromTheCache) {
  Prompt prompt;
  prompt.box = Box{8, 8, 40, 40};
  std::vector<float> first;
  for (int start = 0; start < 2; ++start) {
    const Engine engine(bundle_, options_);
    EXPECT_EQ(engine.info().encoder_precision + "/" + engine.info().decoder_precision, "f32_fused/f32_fused");
    EXPECT_EQ(engine.info().decoder_backend, "fused decoder 1");
    EXPECT_EQ(engine.info().device, backends::processor().name) << "as beside graphs";
    const std::vector<float> found = logits(engine.predict(engine.encode(image()), {prompt}));
    if (start == 0) first = found;
    EXPECT_EQ(std::memcmp(found.data(), first.data(), first.size() * sizeof(float)), 0);
    Prompt masked = prompt;
    masked.mask_input = first.data();
    EXPECT_NE(logits(engine.predict(engine.encode(image()), {masked})), first);
    std::vector<std::uint16_t> labels(kHeight * kWidth);
    EXPECT_EQ(
        engine.segment(image(), {*prompt.box}, {labels.data(), LabelType::u16, kHeight, kWidth, kWidth * 2}).size(),
        1U);
  }
}

TEST_F(NativeBundle, ItsStagesAreChosenApart) {
  options_.allow_uncertified = true;
  for (const char* pair : {"bf16_fused/bf16_fused", "bf16_fused/f32_fused", "f32_fused/bf16_fused"}) {
    if (!backends::create_native("CPU")->native("bf16_fused")) GTEST_SKIP() << "no fast bf16 on this processor";
    options_.precision = pair;
    const Engine engine(bundle_, options_);
    EXPECT_EQ(engine.info().encoder_precision + "/" + engine.info().decoder_precision, pair);
    EXPECT_TRUE(engine.encode(image()).valid());
  }
}

// Labels are made of the logits that show the image, which are then all that is computed; predict computes all.
TEST_F(NativeBundle, LabelsAreThoseOfWholeLogits) {
  options_.allow_uncertified = true;
  const bool rounded = backends::create_native("CPU")->native("bf16_fused");
  int drawn = 0;
  for (const char* precision : {"f32_fused/f32_fused", "bf16_fused/bf16_fused"}) {
    if (!rounded && std::string(precision) != "f32_fused/f32_fused") continue;
    options_.precision = precision;
    const Engine engine(bundle_, options_);
    for (const auto& [height, width] : std::vector<std::pair<std::int64_t, std::int64_t>>{
             {48, 64}, {64, 48}, {48, 48}, {3, 64}, {64, 1}, {21, 33}, {33, 21}, {1, 1}}) {
      const ImageView view{pixels_.data(), PixelType::u8, height, width, 1, width};
      const ImageEmbedding embedding = engine.encode(view);
      Prompt prompt;
      prompt.box = Box{0, 0, static_cast<double>(width / 2), static_cast<double>(height / 2)};
      std::vector<std::uint16_t> expected(static_cast<std::size_t>(height * width)), labels = expected,
                                                                                     slice = expected;
      const auto view_of = [&](std::vector<std::uint16_t>& to) {
        return LabelView{to.data(), LabelType::u16, height, width, width * 2};
      };
      const MaskStats whole = engine.predict(embedding, {prompt}).write_mask(0, 0, view_of(expected));
      const MaskStats part = engine.segment(embedding, {*prompt.box}, view_of(labels)).at(0);
      EXPECT_EQ(labels, expected) << precision << " " << width << " x " << height;
      EXPECT_EQ(part.area, whole.area);
      drawn += part.area > 0 && part.area < height * width ? 1 : 0;
      EXPECT_EQ(part.iou, whole.iou);
      engine.segment_volume({pixels_.data(), PixelType::u8, 1, height, width, 1, width, height * width},
                            {{0, 0, 0, prompt.box->x1, prompt.box->y1, 0}},
                            {slice.data(), LabelType::u16, 1, height, width, width * 2, height * width * 2});
      EXPECT_EQ(slice, expected) << precision << " " << width << " x " << height << ", as a volume";
    }
  }
  EXPECT_GT(drawn, 4) << "or this test shows nothing";
}

// A decoder for other coordinates gives masks of something else, and every shape fits.
TEST_F(NativeBundle, ADecoderForAnotherFrameIsRefused) {
  manifest_["prompt"]["frame"] = 2 * kSide;
  write();
  EXPECT_NE(refusal().find("is for a frame of 64 pixels"), std::string::npos) << refusal();
  manifest_["prompt"]["frame"] = kSide;
  manifest_["prompt"]["point_shift"] = 0;
  write();
  EXPECT_NE(refusal().find("prompts shifted by 0.5"), std::string::npos) << refusal();
}

TEST_F(NativeBundle, FilesUnderEachOthersNamesAreRefused) {
  json& fused = manifest_["fused"];
  for (const char* field : {"file", "bytes", "sha256"}) {
    const json encoder = fused["encoder"][field];
    fused["encoder"][field] = fused["decoder"][field];
    fused["decoder"][field] = fused["decoder_mask"][field] = encoder;
  }
  write();
  EXPECT_NE(refusal().find("holds the architecture"), std::string::npos) << refusal();
}

}  // namespace
}  // namespace medsam
