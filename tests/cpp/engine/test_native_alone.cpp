// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// An engine of a bundle without graphs: what it runs, what it never loads, and what it refuses with which remedy.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/sha256.hpp"
#include "bundle/bundle.hpp"
#include "medsam/engine.hpp"
#include "medsam/error.hpp"
#include "precision/tuning.hpp"
#include "support/engine_test.hpp"
#include "support/fake_backend.hpp"
#include "support/raised.hpp"

namespace medsam {
namespace {

constexpr const char* kRemedy = "export the bundle again with its graphs (--onnx)";

class NativeAloneEngine : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    testing::fake_backend().fused = true;
    testing::fake_backend().created = 0;
    testing::add_fused(manifest_, {"encoder", "decoder", "decoder_mask"});
    testing::remove_graphs(manifest_);
    write();
  }
  void TearDown() override { testing::fake_backend().fused = false; }
  void write() {
    testing::write_tiny_bundle(bundle_, manifest_);
    for (const char* graph : {"encoder.onnx", "decoder.onnx", "decoder_mask.onnx"}) {
      std::filesystem::remove(bundle_ + "/" + graph);
    }
  }
  void certify(const std::string& name, const std::string& encoder, const std::string& decoder) {
    manifest_["certificates"] = {{{"precision", name},
                                  {"stages", {{"encoder", encoder}, {"decoder", decoder}}},
                                  {"fused",
                                   {{"encoder", sha256_hex(testing::kFusedEncoder)},
                                    {"backend", "fake fused 1"},
                                    {"decoder", sha256_hex(testing::kFusedDecoder)},
                                    {"decoder_backend", "fake fused decoder 1"}}},
                                  {"model_hash", read_bundle(bundle_).model_hash},
                                  {"backend", "a library that is not there"},
                                  {"device", "CPU"},
                                  {"measured",
                                   {{"images", 40},
                                    {"objects", 99},
                                    {"agreement_mean", 0.995},
                                    {"agreement_worst", 0.9},
                                    {"truth_f32", nullptr},
                                    {"truth", nullptr},
                                    {"worst_loss", nullptr},
                                    {"machine", "any"}}}}};
    write();
    options_.trust_bundle_certificates = true;
  }
  // What runs, as "name: encoder/decoder", or why nothing does.
  std::string runs(const std::string& precision) {
    options_.precision = precision;
    try {
      const EngineInfo info = Engine(bundle_, options_).info();
      return info.precision + ": " + info.encoder_precision + "/" + info.decoder_precision;
    } catch (const Unsupported& error) {
      return error.what();
    }
  }
  void expect_refused(const std::string& precision, const std::string& why, const std::string& remedy) {
    const std::string text = runs(precision);
    EXPECT_TRUE(text.starts_with("precision: got \"" + precision + "\", but " + why)) << text;
    EXPECT_TRUE(text.ends_with(remedy)) << text;
    EXPECT_EQ(text.find('\n'), std::string::npos);
  }
  nlohmann::json manifest_ = testing::tiny_manifest();
};

TEST_F(NativeAloneEngine, RunsInF32WithoutACertificate) {
  for (const char* word : {"f32", "auto", "f32_fused/f32_fused"}) {
    EXPECT_EQ(runs(word), "f32: f32_fused/f32_fused");
  }
  testing::fake_backend().take_compiled();
  for (const char* device : {"CPU", "cpu", "AUTO", "auto"}) {
    options_.device = device;
    const Engine engine(bundle_, options_);
    EXPECT_EQ(engine.info().backend, "fake fused 1, fake fused decoder 1");
    EXPECT_EQ(engine.info().encoder_backend, "fake fused 1");
    EXPECT_EQ(engine.info().decoder_backend, "fake fused decoder 1");
    EXPECT_EQ(engine.info().certified, std::vector<std::string>{"f32_fused/f32_fused"});
    Prompt prompt;
    prompt.box = Box{4, 4, 40, 40};
    const Prediction first = engine.predict(engine.encode(image()), {prompt});
    const std::vector<float> mask(16 * 16, 3);
    prompt.mask_input = mask.data();
    EXPECT_GT(engine.predict(engine.encode(image()), {prompt}).low_res_logits()[0], first.low_res_logits()[0]);
  }
  EXPECT_EQ(testing::fake_backend().take_compiled(),
            (std::set<std::string>{"decoder.fused.safetensors f32_fused 0", "encoder.fused.safetensors f32_fused 0"}));
  EXPECT_EQ(testing::fake_backend().created.load(), 0) << "nothing that runs graphs is loaded";
}

// A mask must not depend on whether graphs that are not run lie beside the weights: nor must an embedding.
TEST_F(NativeAloneEngine, ItsEmbeddingsAreThoseOfTheSameWeightsBesideGraphs) {
  options_.precision = "f32_fused/f32_fused";
  options_.allow_uncertified = true;
  const std::string alone = Engine(bundle_, options_).info().fingerprint;
  nlohmann::json whole = testing::tiny_manifest();
  testing::add_fused(whole, {"encoder", "decoder", "decoder_mask"});
  testing::write_tiny_bundle(folder_.path("whole"), whole);
  const EngineInfo beside = Engine(folder_.path("whole"), options_).info();
  EXPECT_EQ(beside.fingerprint, alone);
  options_.precision = "f32/f32";
  EXPECT_NE(Engine(folder_.path("whole"), options_).info().fingerprint, alone);
}

TEST_F(NativeAloneEngine, WhatNeedsGraphsIsRefusedWithTheRemedy) {
  for (const bool allow : {false, true}) {
    options_.allow_uncertified = allow;
    for (const char* word : {"f32/f32", "bf16", "bf16/bf16", "f16", "int8", "int8/f32", "bf16_mixed/bf16",
                             "f32/f32_fused", "bf16_fused/f32"}) {
      expect_refused(word, "this bundle has native weights alone, and no ONNX graphs", "(--onnx)");
    }
  }
  for (const char* device : {"GPU", "GPU.1", "NPU", "cuda", "cuda:0", "else"}) {
    options_.device = device;
    const std::string text = runs("auto");
    EXPECT_EQ(text, std::string("device: got \"") + device +
                        "\", but this bundle has native weights alone, which run on the CPU; use \"CPU\", or " +
                        kRemedy);
  }
  EXPECT_EQ(testing::fake_backend().created.load(), 0);
}

TEST_F(NativeAloneEngine, OnAnotherProcessorTheRemedyIsTheGraphs) {
  testing::fake_backend().fused = false;
  const std::string text = runs("f32");
  EXPECT_TRUE(text.starts_with("device: this processor")) << text;
  EXPECT_TRUE(text.ends_with(kRemedy)) << text;
}

TEST_F(NativeAloneEngine, AnApproximationNeedsACertificate) {
  expect_refused("bf16_fused/bf16_fused", "this bundle has no certificate for it", "`medsam-engine certify`");
  options_.allow_uncertified = true;
  EXPECT_EQ(runs("bf16_fused/bf16_fused"), "bf16_fused/bf16_fused: bf16_fused/bf16_fused");
  options_.allow_uncertified = false;
  certify("bf16", "bf16_fused", "bf16_fused");
  EXPECT_EQ(runs("auto"), "bf16: bf16_fused/bf16_fused");
  EXPECT_EQ(runs("bf16"), "bf16: bf16_fused/bf16_fused") << "by its certificate's name";
  EXPECT_EQ(runs("f32"), "f32: f32_fused/f32_fused");
  EXPECT_EQ(Engine(bundle_, options_).info().certified,
            (std::vector<std::string>{"f32_fused/f32_fused", "bf16_fused/bf16_fused"}));
  options_.trust_bundle_certificates = false;
  EXPECT_EQ(runs("auto"), "f32: f32_fused/f32_fused");
  expect_refused("bf16", "its certificate is the bundle's own word", "`medsam-engine certify`");
}

TEST_F(NativeAloneEngine, ACertificateOfGraphsIsNoneHere) {
  certify("bf16", "bf16", "bf16_fused");
  EXPECT_EQ(runs("auto"), "f32: f32_fused/f32_fused");
  const std::vector<CertificateInfo> listed = Engine(bundle_, options_).info().certificates;
  ASSERT_EQ(listed.size(), 1U);
  EXPECT_TRUE(listed[0].obstacle.starts_with("this bundle has native weights alone")) << listed[0].obstacle;
  expect_refused("bf16", "this bundle has native weights alone, and no ONNX graphs", "(--onnx)");
}

TEST_F(NativeAloneEngine, ItsFilesAreVerified) {
  options_.precision = "f32";
  testing::write_file(bundle_ + "/decoder.fused.safetensors", "decoder's weightz");
  const std::string text = testing::raised<ModelError>([&] { Engine(bundle_, options_); });
  EXPECT_NE(text.find("decoder.fused.safetensors: got SHA-256"), std::string::npos) << text;
}

// A stored choice names the pair that needs no certificate, as every other.
TEST_F(NativeAloneEngine, AStoredChoiceOfItsF32Holds) {
  options_.precision = "auto";
  const EngineInfo info = Engine(bundle_, options_).info();
  std::filesystem::create_directories(std::filesystem::path(info.tuning_file).parent_path());
  const nlohmann::json choice = {{"schema_version", 1},
                                 {"model_hash", info.model_hash},
                                 {"engine", version()},
                                 {"backend", info.backend},
                                 {"device", "CPU"},
                                 {"machine", info.machine},
                                 {"stages", {{"encoder", "f32_fused"}, {"decoder", "f32_fused"}}},
                                 {"threads", 2}};
  testing::write_file(info.tuning_file, choice.dump());
  const EngineInfo tuned = Engine(bundle_, options_).info();
  EXPECT_TRUE(tuned.tuned);
  EXPECT_EQ(tuned.threads, 2);
  EXPECT_EQ(tuned.precision, "f32");
}

}  // namespace
}  // namespace medsam
