// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What an engine on a CUDA device compiles, keeps and finds again: plans, kernels, f16 graphs.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <sstream>
#include <vector>

#include "base/sha256.hpp"
#include "support/cuda_engine.hpp"

namespace medsam::backends {
namespace {

TEST_F(CudaEngine, KeepsItsPlans) {
  static_cast<void>(engine("cuda:0").encode(image()));
  EXPECT_EQ(kept(".plan").size(), 2u) << "encoder and decoder; the decoder with a mask when first needed";
  static_cast<void>(engine("cuda:0").encode(image()));
  EXPECT_EQ(kept(".plan").size(), 2u);
}

TEST_F(CudaEngine, TellsHowFarABuildIs) {
  std::mutex mutex;
  std::vector<std::string> infos;
  EngineOptions options;
  options.cache_dir = folder_.path("cache-cuda");
  options.device = "cuda:0";
  options.log = [&](LogLevel level, const std::string& text) {
    const std::lock_guard lock(mutex);
    EXPECT_EQ(level, LogLevel::info) << text;
    infos.push_back(text);
  };
  static_cast<void>(Engine(bundle_, options));
  const auto told = [&](const std::string& of) {
    return std::count_if(infos.begin(), infos.end(), [&](const std::string& text) {
      return text.starts_with("building the plan of " + of + " for sm_") && text.ends_with(", once: 100 %");
    });
  };
  EXPECT_EQ(told("encoder.onnx"), 1);
  EXPECT_EQ(told("decoder.onnx"), 1);
  infos.clear();
  static_cast<void>(Engine(bundle_, options));
  EXPECT_TRUE(infos.empty()) << infos[0];
}

TEST_F(CudaEngineOnStandIn, KernelsOfTensorRtForRtxAreCompiledOnce) {
  const auto compiled_by = [&](std::size_t prompts) {
    const int before = bus().kernels_compiled;
    const Engine cuda = engine("cuda:0");
    const ImageEmbedding embedding = cuda.encode(image());
    Prompt prompt;
    prompt.box = Box{3, 3, 20, 20};
    static_cast<void>(cuda.predict(embedding, std::vector<Prompt>(prompts, prompt)));
    return bus().kernels_compiled - before;
  };
  EXPECT_GT(compiled_by(1), 2) << "of the encoder, of the decoder, and what its shapes asked for";
  EXPECT_EQ(kept(".kernels").size(), 2u);
  EXPECT_EQ(compiled_by(1), 0);
  EXPECT_GT(compiled_by(2), 0) << "another number of prompts";
  EXPECT_EQ(compiled_by(2), 0) << "kept when the engine went";
  for (const auto& file : kept(".kernels")) {  // of another driver: whole, but the library does not take it
    std::ifstream in(file, std::ios::binary);
    std::stringstream content;
    content << in.rdbuf();
    const std::string whole = content.str(), head = whole.substr(0, whole.find("sha256 ")), foreign = "of another";
    testing::write_file(file, head + "sha256 " + sha256_hex(foreign) + "\n\n" + foreign);
  }
  EXPECT_GT(compiled_by(2), 2);
  EXPECT_EQ(compiled_by(2), 0);
  for (const auto& file : kept(".kernels")) std::filesystem::resize_file(file, std::filesystem::file_size(file) - 1);
  EXPECT_GT(compiled_by(2), 2) << "torn";
}

// As in a process that ends without a word, such as medsam-npz.
TEST_F(CudaEngineOnStandIn, WhatTheFirstContextCompiledIsKeptAtOnce) {
  const Engine cuda = engine("cuda:0");
  static_cast<void>(cuda.encode(image()));
  EXPECT_FALSE(kept(".kernels").empty());
}

/// A bundle with f16 graphs. The stand-in does not look at a graph's types, so these are the exact ones under new
/// names.
class CudaEngineInF16 : public CudaEngine {
 protected:
  void SetUp() override {
    CudaEngine::SetUp();
    if (IsSkipped()) return;
    if (create_backend("cuda:0")->library().find("stand-in") == std::string::npos)
      GTEST_SKIP() << "needs graphs in f16";
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
    options.trust_bundle_certificates = true;
    return Engine(bundle_, options);
  }
  nlohmann::json manifest_;
  std::string half_hash_;
};

TEST_F(CudaEngineInF16, RunsTheF16Graphs) {
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

TEST_F(CudaEngineInF16, AutoTakesThemWithTheirCertificate) {
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

TEST_F(CudaEngineInF16, GraphsThatAreNotTheModelsAreAModelError) {
  manifest_["f16"]["encoder"]["inputs"][0]["name"] = "picture";
  testing::write_file(bundle_ + "/manifest.json", manifest_.dump());
  EXPECT_THROW(half("f32", false), ModelError);
  manifest_["f16"].erase("encoder");
  testing::write_file(bundle_ + "/manifest.json", manifest_.dump());
  EXPECT_THROW(half("f32", false), ModelError);
}

}  // namespace
}  // namespace medsam::backends
