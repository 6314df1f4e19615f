// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// An engine whose bundle has native models: who runs it, and who never does.
#include <gtest/gtest.h>

#include "base/sha256.hpp"
#include "bundle/bundle.hpp"
#include "bundle/certificate.hpp"
#include "medsam/engine.hpp"
#include "medsam/error.hpp"
#include "support/engine_test.hpp"
#include "support/fake_backend.hpp"
#include "support/fake_device.hpp"

namespace medsam {
namespace {

class NativeEngine : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    options_.trust_bundle_certificates = true;
  }
  void TearDown() override {
    testing::fake_backend().fused = false;
    testing::fake_backend().finds_gpu = false;
    testing::fake_backend().device = nullptr;
  }
  /// The tiny bundle with a native encoder, and with its certificates where devices are named.
  void write(const std::vector<std::string>& certified_on = {}) {
    testing::write_file(bundle_ + "/fused.safetensors", "weights");
    nlohmann::json encoder = manifest_["models"]["encoder"];
    encoder["file"] = "fused.safetensors";
    encoder["bytes"] = 7;
    encoder["sha256"] = sha256_hex("weights");
    manifest_["fused"] = {{"encoder", encoder}};
    for (const std::string& device : certified_on) {
      manifest_["certificates"].push_back({{"precision", "bf16_fused"},
                                           {"stages", {{"encoder", "bf16_fused"}, {"decoder", "f32"}}},
                                           {"fused", {{"encoder", sha256_hex("weights")}, {"backend", "fake fused 1"}}},
                                           {"model_hash", read_bundle(bundle_).model_hash},
                                           {"backend", "fake 1"},
                                           {"device", device},
                                           {"measured",
                                            {{"images", 40},
                                             {"objects", 99},
                                             {"agreement_mean", 0.995},
                                             {"agreement_worst", 0.9},
                                             {"truth_f32", nullptr},
                                             {"truth", nullptr},
                                             {"worst_loss", nullptr},
                                             {"machine", "any"}}}});
    }
    testing::write_tiny_bundle(bundle_, manifest_);
  }
  nlohmann::json manifest_ = testing::tiny_manifest();
};

TEST_F(NativeEngine, AnEncoderRunsOnItsOwnBackend) {
  const std::string exact = Engine(bundle_, options_).info().fingerprint;
  write();
  options_.precision = "bf16_fused/f32";
  options_.allow_uncertified = true;
  EXPECT_THROW(Engine(bundle_, options_), Unsupported) << "nothing here runs it";

  testing::fake_backend().fused = true;
  testing::fake_backend().take_compiled();
  const EngineInfo info = Engine(bundle_, options_).info();
  EXPECT_EQ(info.encoder_precision, "bf16_fused");
  EXPECT_EQ(info.encoder_backend, "fake fused 1");
  EXPECT_EQ(info.backend, "fake 1");
  EXPECT_NE(info.fingerprint, exact);
  EXPECT_EQ(testing::fake_backend().take_compiled().count("fused.safetensors bf16_fused 0"), 1);
  options_.precision = "f32_fused/f32";
  EXPECT_NE(Engine(bundle_, options_).info().fingerprint, info.fingerprint) << "other arithmetic";

  testing::write_file(bundle_ + "/fused.safetensors", "weightz");
  EXPECT_THROW(Engine(bundle_, options_), ModelError) << "another file";
  manifest_["fused"]["encoder"]["outputs"][0]["name"] = "other";
  testing::write_tiny_bundle(bundle_, manifest_);
  EXPECT_THROW(Engine(bundle_, options_), ModelError);
}

// Each stage is somebody's: all four pairs run, and each names who computes what.
TEST_F(NativeEngine, ADecoderRunsOnItsOwnBackend) {
  testing::fake_backend().fused = true;
  testing::add_fused(manifest_, {"encoder", "decoder", "decoder_mask"});
  testing::write_tiny_bundle(bundle_, manifest_);
  options_.allow_uncertified = true;
  Prompt prompt;
  prompt.box = Box{4, 4, 40, 40};
  for (const char* pair : {"f32/f32", "f32/bf16_fused", "f32_fused/f32_fused", "bf16_fused/f32"}) {
    options_.precision = pair;
    testing::fake_backend().take_compiled();
    const Engine engine(bundle_, options_);
    const EngineInfo& info = engine.info();
    EXPECT_EQ(info.encoder_precision + "/" + info.decoder_precision, pair);
    const bool encoder = info.encoder_precision != "f32", decoder = info.decoder_precision != "f32";
    EXPECT_EQ(info.encoder_backend, encoder ? "fake fused 1" : "fake 1") << pair;
    EXPECT_EQ(info.decoder_backend, decoder ? "fake fused decoder 1" : "fake 1") << pair;
    const Prediction boxed = engine.predict(engine.encode(image()), {prompt});
    const std::set<std::string> compiled = testing::fake_backend().take_compiled();
    EXPECT_EQ(compiled.size(), 2U);
    EXPECT_EQ(
        compiled.count((encoder ? "encoder.fused.safetensors " : "encoder.onnx ") + info.encoder_precision + " 0"), 1U);
    EXPECT_EQ(
        compiled.count((decoder ? "decoder.fused.safetensors " : "decoder.onnx ") + info.decoder_precision + " 0"), 1U);
    // The decoder that takes a mask is of the same weights.
    const std::vector<float> mask(16 * 16, 3);
    Prompt masked = prompt;
    masked.mask_input = mask.data();
    EXPECT_TRUE(engine.predict(engine.encode(image()), {masked}).low_res_logits()[0] > boxed.low_res_logits()[0]);
    const std::string role_mask = decoder ? "decoder.fused.safetensors " : "decoder_mask.onnx ";
    EXPECT_EQ(testing::fake_backend().take_compiled().count(role_mask + info.decoder_precision + " 0"), 1U);
  }
}

// It computes on the processor, and its embedding would have to cross the bus.
TEST_F(NativeEngine, ItIsNeverAGpus) {
  write({"CPU", "GPU", "cuda:0"});
  testing::fake_backend().fused = true;
  testing::fake_backend().finds_gpu = true;
  testing::fake_backend().device = testing::as_device;
  options_.precision = "auto";
  EXPECT_EQ(Engine(bundle_, options_).info().encoder_precision, "bf16_fused") << "or this test shows nothing";
  for (const char* device : {"AUTO", "cuda:0"}) {
    options_.device = device;
    options_.precision = "auto";
    options_.allow_uncertified = false;
    testing::fake_backend().take_compiled();
    const Engine engine(bundle_, options_);
    EXPECT_EQ(engine.info().encoder_precision, "f32") << device;
    EXPECT_EQ(engine.info().encoder_backend, "fake 1") << device;
    EXPECT_EQ(engine.info().certified, std::vector<std::string>{"f32/f32"}) << device;
    EXPECT_EQ(testing::fake_backend().take_compiled().count("encoder.onnx f32 0"), 1) << device;
    EXPECT_TRUE(engine.encode(image()).valid()) << device;
    options_.precision = "bf16_fused/f32";
    options_.allow_uncertified = true;
    EXPECT_THROW(Engine(bundle_, options_), Unsupported) << device;
  }
}

}  // namespace
}  // namespace medsam
