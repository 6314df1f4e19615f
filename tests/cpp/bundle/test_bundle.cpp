// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "bundle/bundle.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "base/sha256.hpp"
#include "bundle/verified_model.hpp"
#include "medsam/error.hpp"
#include "support/tiny_bundle.hpp"

namespace medsam {
namespace {

using nlohmann::json;
using testing::TemporaryFolder;
using testing::tiny_manifest;
using testing::write_tiny_bundle;

TEST(Bundle, ReadsWhatTheManifestSays) {
  const TemporaryFolder folder;
  const Bundle bundle = read_bundle(write_tiny_bundle(folder.path("b")));
  EXPECT_EQ(bundle.family, "tiny");
  EXPECT_EQ(bundle.input_size, testing::kInputSize);
  EXPECT_EQ(bundle.first().size(), 3u);
  EXPECT_EQ(bundle.prompt.frame, testing::kInputSize);
  EXPECT_EQ(bundle.prompt.mask_input, MaskInput::logits);
  EXPECT_FALSE(bundle.needs_crops());
  EXPECT_EQ(bundle.model("decoder").inputs[2].dtype, DType::i32);
  EXPECT_EQ(bundle.model("decoder").input_index("mask_index"), 3);
  EXPECT_EQ(bundle.model_hash.size(), 64u);
  EXPECT_THROW(static_cast<void>(bundle.model("nope")), ModelError);
}

TEST(Bundle, ReadsExpertsAndTheirRoutes) {
  const TemporaryFolder folder;
  const Bundle bundle = read_bundle(testing::copy_bundle("tiny_routed", folder.path("b")));
  EXPECT_EQ(bundle.models.size(), 2u);
  EXPECT_EQ(bundle.model("decoder", "a").sha256, bundle.model("decoder", "b").sha256);
  EXPECT_NE(bundle.model("encoder", "a").sha256, bundle.model("encoder", "b").sha256);
  EXPECT_EQ(bundle.modality.fallback, "a");
  EXPECT_TRUE(bundle.needs_crops());
  EXPECT_FALSE(bundle.prompt.points);
}

TEST(Bundle, WeightsBesideTheGraphArePartOfTheModel) {
  const TemporaryFolder folder;
  json manifest = tiny_manifest();
  const std::string path = write_tiny_bundle(folder.path("b"), manifest);
  testing::write_file(path + "/encoder.onnx.data", "weights");
  const std::string plain = read_bundle(path).model("encoder").content_hash();
  manifest["models"]["encoder"]["data"] = {
      {{"file", "encoder.onnx.data"}, {"bytes", 7}, {"sha256", sha256_hex("weights")}}};
  testing::write_file(path + "/manifest.json", manifest.dump());
  const Bundle bundle = read_bundle(path);
  EXPECT_NE(bundle.model("encoder").content_hash(), plain);
  // What tools/medsam_engine_tools/bundle/content_hash.py makes of it, too.
  EXPECT_EQ(bundle.model("encoder").content_hash(),
            sha256_hex(manifest["models"]["encoder"]["sha256"].get<std::string>() + "\n" + sha256_hex("weights") +
                       " 7 encoder.onnx.data\n"));
  const CacheFolder none("none", nullptr);
  EXPECT_NO_THROW(verify_model(bundle.model("encoder"), none, false));
  testing::write_file(path + "/encoder.onnx.data", "WEIGHTS");
  EXPECT_THROW(verify_model(bundle.model("encoder"), none, false), ModelError);
}

struct BadManifest {
  const char* name;
  std::function<void(json&)> change;
  const char* message;
};

class RefusedManifest : public ::testing::TestWithParam<BadManifest> {};

TEST_P(RefusedManifest, NamesTheFault) {
  const TemporaryFolder folder;
  json manifest = tiny_manifest();
  GetParam().change(manifest);
  try {
    read_bundle(write_tiny_bundle(folder.path("b"), manifest));
    FAIL() << "accepted";
  } catch (const ModelError& e) {
    EXPECT_NE(std::string(e.what()).find(GetParam().message), std::string::npos) << e.what();
    EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos) << "one line";
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, RefusedManifest,
    ::testing::Values(
        BadManifest{"version", [](json& m) { m["schema_version"] = 2; }, "schema_version 2"},
        BadManifest{"no_version", [](json& m) { m.erase("schema_version"); }, "schema_version"},
        BadManifest{"unknown_field", [](json& m) { m["surprise"] = 1; }, "surprise"},
        BadManifest{"unknown_model", [](json& m) { m["models"]["extra"] = m["models"]["decoder"]; }, "extra"},
        BadManifest{"no_decoder", [](json& m) { m["models"].erase("decoder"); }, "decoder"},
        BadManifest{"no_image_rules", [](json& m) { m["profile"].erase("image"); }, "image"},
        BadManifest{"traversal", [](json& m) { m["models"]["encoder"]["file"] = "../encoder.onnx"; }, "file"},
        BadManifest{"absolute", [](json& m) { m["models"]["encoder"]["file"] = "/etc/passwd"; }, "file"},
        BadManifest{"hidden", [](json& m) { m["models"]["encoder"]["file"] = ".."; }, "file"},
        BadManifest{"absent_file", [](json& m) { m["models"]["encoder"]["file"] = "other.onnx"; }, "missing"},
        BadManifest{"size", [](json& m) { m["models"]["encoder"]["bytes"] = 13; }, "expected 13;"},
        BadManifest{"hash", [](json& m) { m["models"]["encoder"]["sha256"] = "abc"; }, "sha256"},
        BadManifest{"huge_input", [](json& m) { m["image"]["input_size"] = 1 << 20; }, "input_size"},
        BadManifest{"huge_number", [](json& m) { m["image"]["input_size"] = 1e30; }, "input_size"},
        BadManifest{"negative", [](json& m) { m["models"]["encoder"]["bytes"] = -1; }, "bytes"},
        BadManifest{"other_input_size", [](json& m) { m["image"]["input_size"] = 64; }, "input_size 64"},
        BadManifest{"missing_input", [](json& m) { m["models"]["decoder"]["inputs"].erase(3); }, "mask_index"},
        BadManifest{"output_twice",
                    [](json& m) { m["models"]["encoder"]["outputs"].push_back(m["models"]["encoder"]["outputs"][0]); },
                    "twice"},
        BadManifest{
            "surplus_input",
            [](json& m) {
              m["models"]["decoder"]["inputs"].push_back({{"name", "temperature"}, {"dtype", "f32"}, {"shape", {1}}});
            },
            "\"temperature\" is not understood"},
        BadManifest{"mask_in_the_plain_decoder",
                    [](json& m) { m["models"]["decoder"]["inputs"] = m["models"]["decoder_mask"]["inputs"]; },
                    "not understood"},
        BadManifest{"crop_features_from_nowhere",
                    [](json& m) {
                      m["models"]["decoder"]["inputs"].push_back(
                          {{"name", "crop_features"}, {"dtype", "f32"}, {"shape", {-1, 8}}});
                    },
                    "not understood"},
        BadManifest{"half_a_mask", [](json& m) { m["prompt"]["mask_input"] = nullptr; }, "decoder_mask"},
        BadManifest{"sampling_without_a_scribble", [](json& m) { m["prompt"]["from_box"] = "points_and_scribble"; },
                    "image_foreground"},
        BadManifest{"other_prompts", [](json& m) { m["prompt"]["accepts"] = {"points"}; }, "accepts"},
        BadManifest{"shift", [](json& m) { m["prompt"]["point_shift"] = 0.25; }, "point_shift"},
        BadManifest{"no_such_modality",
                    [](json& m) {
                      m["modality"] = {{"index", {{"X-Ray", 1}}}};
                    },
                    "X-Ray"},
        BadManifest{"no_such_expert",
                    [](json& m) {
                      m["modality"] = {{"experts", {{"CT", "ct"}}}};
                    },
                    "experts"},
        BadManifest{"data_outside",
                    [](json& m) {
                      m["models"]["encoder"]["data"] = {{{"file", "../w"}, {"bytes", 1}, {"sha256", ""}}};
                    },
                    "file"},
        BadManifest{"dynamic_logits",
                    [](json& m) {
                      m["models"]["decoder"]["outputs"][0]["shape"] = {-1, -1, -1, -1};
                    },
                    "fixed"},
        BadManifest{"other_embedding",
                    [](json& m) {
                      m["models"]["decoder"]["inputs"][0]["shape"] = {1, 5, 8, 8};
                    },
                    "another embedding"},
        BadManifest{"dtype", [](json& m) { m["models"]["decoder"]["inputs"][2]["dtype"] = "f64"; }, "dtype"},
        BadManifest{"many_certificates", [](json& m) { m["certificates"] = std::vector<json>(4000); },
                    "\"certificates\": got a list of 4000, expected a list of 0 to 64"},
        BadManifest{"no_inputs", [](json& m) { m["models"]["encoder"]["inputs"] = json::array(); },
                    "got a list of 0, expected a list of 1 to 64"},
        BadManifest{"inputs_of_another_kind", [](json& m) { m["models"]["encoder"]["inputs"] = 3; },
                    "got number, expected a list of 1 to 64"},
        BadManifest{"models_list", [](json& m) { m["models"] = json::array(); }, "models"}),
    [](const auto& tested) { return std::string(tested.param.name); });

TEST(Bundle, RefusesAFolderWithoutAManifestAndTextThatIsNotJson) {
  const TemporaryFolder folder;
  EXPECT_THROW(read_bundle(folder.path("absent")), ModelError);
  EXPECT_THROW(read_bundle(folder.path()), ModelError);
  write_tiny_bundle(folder.path("b"));
  testing::write_file(folder.path("b/manifest.json"), "{\"schema_version\": 1, ");
  EXPECT_THROW(read_bundle(folder.path("b")), ModelError);
  testing::write_file(folder.path("b/manifest.json"), "[1, 2]");
  EXPECT_THROW(read_bundle(folder.path("b")), ModelError);
}

TEST(Bundle, DeeplyNestedJsonIsRefusedNotCrashed) {
  const TemporaryFolder folder;
  write_tiny_bundle(folder.path("b"));
  testing::write_file(folder.path("b/manifest.json"), std::string(100000, '['));
  EXPECT_THROW(read_bundle(folder.path("b")), ModelError);
}

}  // namespace
}  // namespace medsam
