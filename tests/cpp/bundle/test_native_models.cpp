// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// "fused" in a manifest: which stages it lets this library's own kernels compute, and what it is refused for.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "base/sha256.hpp"
#include "bundle/bundle.hpp"
#include "medsam/error.hpp"
#include "support/raised.hpp"
#include "support/tiny_bundle.hpp"

namespace medsam {
namespace {

using nlohmann::json;

class NativeModels : public ::testing::Test {
 protected:
  Bundle read() const { return read_bundle(testing::write_tiny_bundle(folder_.path("b"), manifest_)); }
  std::string refusal() const {
    return testing::raised<ModelError>([&] { static_cast<void>(read()); });
  }
  void expect_refused(const std::string& words) const {
    const std::string text = refusal();
    EXPECT_NE(text.find(words), std::string::npos) << text;
  }
  // A bundle whose decoder takes no mask.
  void without_mask() {
    manifest_["models"].erase("decoder_mask");
    manifest_["prompt"]["mask_input"] = nullptr;
    manifest_.erase("trained_prompts");
  }
  // "encoder f32_fused" for each variant on own kernels.
  static std::vector<std::string> natives(const Bundle& bundle) {
    std::vector<std::string> found;
    for (const Variant& variant : bundle.variants) {
      if (variant.runner != Runner::native) continue;
      found.push_back((variant.stage == Stage::encoder ? "encoder " : "decoder ") + variant.format);
    }
    std::sort(found.begin(), found.end());
    return found;
  }
  testing::TemporaryFolder folder_;
  json manifest_ = testing::tiny_manifest();
};

TEST_F(NativeModels, EachStageMayHaveThem) {
  const std::vector<std::string> encoders = {"encoder bf16_fused", "encoder f32_fused"};
  const std::vector<std::string> decoders = {"decoder bf16_fused", "decoder f32_fused"};
  const std::string hash = read().model_hash;
  EXPECT_FALSE(read().has_native_models());
  testing::add_fused(manifest_, {"encoder"});
  EXPECT_EQ(natives(read()), encoders);
  testing::add_fused(manifest_, {"decoder", "decoder_mask"});
  const Bundle both = read();
  EXPECT_EQ(natives(both).size(), 4U);
  EXPECT_EQ(both.model_hash, hash) << "certificates of the graphs stay valid";
  for (const Variant& variant : both.variants) {
    if (variant.runner != Runner::native) continue;
    const bool encoder = variant.stage == Stage::encoder;
    EXPECT_EQ(variant.identity, sha256_hex(encoder ? testing::kFusedEncoder : testing::kFusedDecoder));
    for (const char* role : {"encoder", "decoder", "decoder_mask"}) {
      if ((std::string(role) == "encoder") != encoder) continue;
      const ModelFile& file = variant.file_of(both.model(role));
      EXPECT_EQ(file.role, role);
      EXPECT_EQ(file.stage(), variant.stage);
      EXPECT_EQ(file.content_hash(), variant.identity);
      EXPECT_FALSE(file.onnx);
    }
  }
  manifest_["fused"].erase("encoder");
  EXPECT_EQ(natives(read()), decoders);
}

TEST_F(NativeModels, ADecoderWithoutAMaskIsAloneInItsStage) {
  without_mask();
  testing::add_fused(manifest_, {"decoder"});
  EXPECT_EQ(natives(read()).size(), 2U);
  manifest_["fused"]["decoder_mask"] = manifest_["fused"]["decoder"];
  expect_refused("fused: decoder_mask: its inputs and outputs are not the model's");
}

TEST_F(NativeModels, AStageIsThereAsAWhole) {
  testing::add_fused(manifest_, {"decoder"});
  expect_refused("fused: no entry for \"decoder_mask\"");
  manifest_.erase("fused");
  testing::add_fused(manifest_, {"encoder", "decoder_mask"});
  expect_refused("fused: no entry for \"decoder\"");
  manifest_["fused"] = json::object();
  expect_refused("fused: got no model");
}

// What looks at the crops would run from a graph beside the native decoder: no tool makes that.
TEST_F(NativeModels, AModelOfTheStageWithoutANativeFormIsRefused) {
  without_mask();
  json crops = {{"file", "encoder.onnx"},
                {"bytes", manifest_["models"]["encoder"]["bytes"]},
                {"sha256", manifest_["models"]["encoder"]["sha256"]}};
  crops["inputs"] = {{{"name", "crop"}, {"dtype", "f32"}, {"shape", {-1, 3, 32, 32}}}};
  crops["outputs"] = {{{"name", "crop_features"}, {"dtype", "f32"}, {"shape", {-1, 8}}}};
  manifest_["models"]["crop_encoder"] = crops;
  EXPECT_EQ(refusal(), "none") << "or this test shows nothing";
  testing::add_fused(manifest_, {"decoder"});
  expect_refused("fused: no entry for \"crop_encoder\"");
}

TEST_F(NativeModels, AStagesModelsAreOneFile) {
  testing::add_fused(manifest_, {"decoder", "decoder_mask"});
  const json good = manifest_;
  const auto refused = [&](const std::function<void(json & entry)>& change) {
    manifest_ = good;
    change(manifest_["fused"]["decoder_mask"]);
    return refusal();
  };
  const std::string words = "fused: decoder_mask: expected the one file of its stage, \"decoder.fused.safetensors\"";
  // Another file of another hash, another name for the same bytes, and the same name with another hash.
  EXPECT_NE(refused([](json& entry) {
              entry["file"] = "encoder.fused.safetensors";
              entry["sha256"] = sha256_hex(testing::kFusedEncoder);
            }).find(words),
            std::string::npos);
  EXPECT_NE(refused([](json& entry) { entry["file"] = "encoder.fused.safetensors"; }).find(words), std::string::npos);
  EXPECT_NE(refused([](json& entry) { entry["sha256"] = std::string(64, 'a'); }).find(words), std::string::npos);
  // Weights are one file: nothing lies beside them.
  const json data = {{{"file", "encoder.fused.safetensors"},
                      {"bytes", std::string(testing::kFusedEncoder).size()},
                      {"sha256", sha256_hex(testing::kFusedEncoder)}}};
  EXPECT_NE(refused([&](json& entry) { entry["data"] = data; }).find(words), std::string::npos);
}

TEST_F(NativeModels, TheirTensorsAreTheModels) {
  testing::add_fused(manifest_, {"encoder", "decoder", "decoder_mask"});
  const json good = manifest_;
  for (const char* role : {"encoder", "decoder", "decoder_mask"}) {
    for (const char* side : {"inputs", "outputs"}) {
      manifest_ = good;
      manifest_["fused"][role][side][0]["name"] = "other";
      expect_refused(std::string("fused: ") + role + ": its inputs and outputs are not the model's");
      manifest_ = good;
      manifest_["fused"][role][side].push_back(manifest_["fused"][role][side][0]);
      expect_refused(std::string("fused: ") + role + ": its inputs and outputs are not the model's");
    }
    manifest_ = good;
    manifest_["fused"][role]["surprise"] = 1;
    expect_refused("surprise");
  }
  manifest_ = good;
  manifest_["fused"]["crop_encoder"] = manifest_["fused"]["decoder"];
  expect_refused("crop_encoder");
}

class NativeAlone : public NativeModels {
 protected:
  void SetUp() override {
    testing::add_fused(manifest_, {"encoder", "decoder", "decoder_mask"});
    testing::remove_graphs(manifest_);
  }
};

TEST_F(NativeAlone, ABundleNeedsNoGraphs) {
  const Bundle bundle = read();
  EXPECT_FALSE(bundle.graphs);
  EXPECT_EQ(natives(bundle).size(), bundle.variants.size()) << "graphs give nothing";
  EXPECT_FALSE(bundle.model("decoder").has_file());
  EXPECT_EQ(bundle.model("decoder").outputs[0].name, "low_res_logits");
  // What tools/medsam_engine_tools/bundle/manifest.py makes of it, too.
  const std::string encoder = sha256_hex(testing::kFusedEncoder), decoder = sha256_hex(testing::kFusedDecoder);
  EXPECT_EQ(bundle.model_hash, sha256_hex("decoder:native " + decoder + "\ndecoder_mask:native " + decoder +
                                          "\nencoder:native " + encoder + "\n"));
}

TEST_F(NativeAlone, EveryModelIsThereInOneForm) {
  const json good = manifest_;
  for (const char* role : {"encoder", "decoder", "decoder_mask"}) {
    manifest_ = good;
    manifest_["fused"].erase(role);
    const std::string text = refusal();
    EXPECT_TRUE(text.starts_with("manifest.json: ")) << text;
    EXPECT_NE(text.find(role), std::string::npos) << text;
  }
  manifest_ = good;
  manifest_.erase("fused");
  expect_refused("models: decoder: got no \"file\" and nothing under \"fused\"");
}

// Half of an entry, or of the bundle, is a mistake and no choice.
TEST_F(NativeAlone, AFileIsDescribedAsAWholeAndOfAllModelsOrNone) {
  const json good = manifest_, whole = testing::tiny_manifest();
  for (const char* role : {"encoder", "decoder", "decoder_mask"}) {
    manifest_ = good;
    manifest_["models"][role] = whole["models"][role];
    expect_refused("models: got a file for some of them only");
    for (const char* field : {"file", "bytes", "sha256"}) {
      manifest_ = good;
      manifest_["models"][role][field] = whole["models"][role][field];
      expect_refused("is missing");
      manifest_["models"] = whole["models"];
      manifest_["models"][role].erase(field);
      expect_refused(std::string("\"") + field + "\" is missing");
    }
    manifest_ = good;
    manifest_["models"][role]["data"] = json::array();
    expect_refused("\"file\" is missing");
    manifest_ = good;
    manifest_["models"][role]["surprise"] = 1;
    expect_refused("surprise");
  }
}

TEST_F(NativeAlone, ItsTensorsAreHeldToTheRulesOfEveryBundle) {
  manifest_["models"]["decoder"]["outputs"][0]["shape"] = {-1, -1, 9000, 16};
  manifest_["fused"]["decoder"]["outputs"] = manifest_["models"]["decoder"]["outputs"];
  expect_refused("the logits' sides must be fixed");
}

TEST_F(NativeAlone, ThereAreNoOtherFormsOfGraphsThatAreNotThere) {
  const json good = manifest_, whole = testing::tiny_manifest();
  manifest_["f16"] = whole["models"];
  expect_refused("f16: got graphs, but the models have none");
  manifest_ = good;
  manifest_["quantized"]["encoder"] = whole["models"]["encoder"];
  manifest_["quantized"]["encoder"]["rest"] = "f32";
  expect_refused("quantized: got graphs, but the models have none");
}

TEST_F(NativeModels, ExpertsHaveNone) {
  const std::string path = testing::copy_bundle("tiny_routed", folder_.path("routed"));
  json manifest = json::parse(std::ifstream(path + "/manifest.json"));
  manifest["fused"] = {{"encoder", manifest["models"].begin().value()}};
  testing::write_file(path + "/manifest.json", manifest.dump());
  const std::string text = testing::raised<ModelError>([&] { static_cast<void>(read_bundle(path)); });
  EXPECT_NE(text.find("fused and experts"), std::string::npos) << text;
  manifest.erase("fused");
  testing::remove_graphs(manifest);
  testing::write_file(path + "/manifest.json", manifest.dump());
  const std::string alone = testing::raised<ModelError>([&] { static_cast<void>(read_bundle(path)); });
  EXPECT_NE(alone.find("got no \"file\" and nothing under \"fused\""), std::string::npos) << alone;
}

}  // namespace
}  // namespace medsam
