// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A whole engine on a CUDA device, or on the stand-in for one (stand_in/).
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>
#include <thread>
#include <vector>

#include "backends/plugin.hpp"
#include "built_plugin.hpp"
#include "medsam/engine.hpp"
#include "medsam/error.hpp"
#include "sha256.hpp"
#include "stand_in/bus_counts.hpp"
#include "tiny_bundle.hpp"

namespace medsam::backends {
namespace {

using testing::ScopedVariable;

void expect_names(const std::string& message, const std::string& what) {
  EXPECT_NE(message.find(what), std::string::npos) << message;
}

class CudaEngine : public ::testing::Test {
 protected:
  void SetUp() override {
    try {
      static_cast<void>(create_backend("cuda:0"));
    } catch (const Unsupported& e) {
      GTEST_SKIP() << e.what();
    }
    bundle_ = testing::write_tiny_bundle(folder_.path("bundle"));
    for (std::size_t i = 0; i < pixels_.size(); ++i) pixels_[i] = static_cast<std::uint8_t>(i % 251);
  }
  [[nodiscard]] Engine engine(const std::string& device) const {
    EngineOptions options;
    options.cache_dir = folder_.path("cache-" + device.substr(0, 4));
    options.profile = "";
    options.device = device;
    return Engine(bundle_, options);
  }
  [[nodiscard]] ImageView image() const { return {pixels_.data(), PixelType::u8, 40, 50, 1, 50}; }
  [[nodiscard]] std::size_t plans() const {
    std::size_t count = 0;
    for (const auto& file : std::filesystem::directory_iterator(folder_.path("cache-cuda/plans"))) {
      count += file.path().extension() == ".plan" ? 1 : 0;
    }
    return count;
  }

  const ScopedVariable plugin_{"MEDSAM_ENGINE_PLUGIN_DIR", testing::plugin_folder()};
  const ScopedVariable root_{"TENSORRT_ROOT", testing::tensorrt_folder()};
  testing::TemporaryFolder folder_;
  std::string bundle_;
  std::vector<std::uint8_t> pixels_ = std::vector<std::uint8_t>(40 * 50);
};

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

/// The stand-in computes the models as the CPU does, so that what is left are the pixel kernels, which have its bits;
/// and it counts what crosses the bus.
class CudaEngineOnStandIn : public CudaEngine {
 protected:
  void SetUp() override {
    CudaEngine::SetUp();
    if (IsSkipped()) return;
    void* plugin = dlopen((testing::plugin_folder() + "/libmedsam_engine_tensorrt.so").c_str(), RTLD_NOW | RTLD_LOCAL);
    bus = plugin == nullptr ? nullptr : reinterpret_cast<testing::BusCountsEntry>(dlsym(plugin, "medsam_stand_in_bus"));
    if (bus == nullptr) GTEST_SKIP() << "a GPU counts nothing, and its models differ in their last bits";
  }
  testing::BusCountsEntry bus = nullptr;
};

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
  EXPECT_EQ(create_backend("cuda")->place(), "cuda:0");
  EXPECT_EQ(create_backend("cuda:0")->place(), "cuda:0");
}

TEST_F(CudaEngine, KeepsItsPlans) {
  static_cast<void>(engine("cuda:0").encode(image()));
  EXPECT_EQ(plans(), 2u) << "encoder and decoder; the decoder with a mask when first needed";
  static_cast<void>(engine("cuda:0").encode(image()));
  EXPECT_EQ(plans(), 2u);
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

/// A bundle with f16 graphs. The stand-in does not look at a graph's types, so these are the exact ones under new
/// names.
class CudaEngineInHalf : public CudaEngine {
 protected:
  void SetUp() override {
    CudaEngine::SetUp();
    if (IsSkipped()) return;
    if (cuda_plugin().library().find("stand-in") == std::string::npos) GTEST_SKIP() << "needs graphs in f16";
    nlohmann::json manifest = testing::tiny_manifest();
    std::string hashes;
    for (const auto& [name, model] : manifest.at("models").items()) {
      nlohmann::json half = model;
      half["file"] = name + ".f16.onnx";
      std::filesystem::copy_file(bundle_ + "/" + name + ".onnx", bundle_ + "/" + name + ".f16.onnx");
      manifest["f16"][name] = half;
      hashes += name + ":" + model.at("sha256").get<std::string>() + "\n";
    }
    half_hash_ = sha256_hex(hashes);
    manifest_ = manifest;
    testing::write_file(bundle_ + "/manifest.json", manifest.dump());
  }
  [[nodiscard]] Engine half(const std::string& precision, bool uncertified) const {
    EngineOptions options;
    options.cache_dir = folder_.path("cache-cuda");
    options.profile = "";
    options.device = "cuda:0";
    options.precision = precision;
    options.allow_uncertified = uncertified;
    return Engine(bundle_, options);
  }
  nlohmann::json manifest_;
  std::string half_hash_;
};

TEST_F(CudaEngineInHalf, RunsTheF16Graphs) {
  EXPECT_THROW(half("f16", false), Unsupported) << "no certificate";
  for (const auto& file : std::filesystem::directory_iterator(bundle_)) {
    const std::string name = file.path().filename().string();
    const bool exact = name.ends_with(".onnx") && name.find(".f16.") == std::string::npos;
    if (exact) testing::write_file(file.path().string(), std::string(file.file_size(), 'x'));  // must not be read
  }
  const Engine engine = half("f16", true);
  EXPECT_EQ(engine.info().encoder_precision, "f16");
  Prompt prompt;
  prompt.box = Box{3, 3, 20, 20};
  EXPECT_EQ(engine.predict(engine.encode(image()), {prompt}).size(), 1);
}

TEST_F(CudaEngineInHalf, AutoTakesThemWithTheirCertificate) {
  EXPECT_EQ(half("auto", false).info().encoder_precision, "f32");
  const std::string models = engine("CPU").info().model_hash;
  manifest_["certificates"] = nlohmann::json::parse(R"([{"precision": "f16", "backend": "the graph's types",
    "device": "any", "stages": {"encoder": "f16", "decoder": "f16"}, "measured": {"images": 40, "objects": 40,
    "agreement_mean": 0.999, "agreement_worst": 0.9, "truth_f32": null, "truth": null, "worst_loss": null,
    "largest": 130.0, "machine": "a", "profile": "clinical"}}])");
  manifest_["certificates"][0]["model_hash"] = models;
  manifest_["certificates"][0]["f16"] = half_hash_;
  testing::write_file(bundle_ + "/manifest.json", manifest_.dump());
  EXPECT_EQ(half("auto", false).info().decoder_precision, "f16");
  EXPECT_EQ(engine("CPU").info().precision, "f32");
  manifest_["certificates"][0]["f16"] = "another";
  testing::write_file(bundle_ + "/manifest.json", manifest_.dump());
  EXPECT_EQ(half("auto", false).info().decoder_precision, "f32");
}

TEST_F(CudaEngineInHalf, GraphsThatAreNotTheModelsAreAModelError) {
  manifest_["f16"]["encoder"]["inputs"][0]["name"] = "picture";
  testing::write_file(bundle_ + "/manifest.json", manifest_.dump());
  EXPECT_THROW(half("f32", false), ModelError);
  manifest_["f16"].erase("encoder");
  testing::write_file(bundle_ + "/manifest.json", manifest_.dump());
  EXPECT_THROW(half("f32", false), ModelError);
}

}  // namespace
}  // namespace medsam::backends
