// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Manifests whose parts do not fit together.
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <string>

#include "bundle/bundle.hpp"
#include "medsam/error.hpp"
#include "support/raised.hpp"
#include "support/tiny_bundle.hpp"

namespace medsam {
namespace {

using nlohmann::json;
using testing::raised;
using testing::TemporaryFolder;
using testing::write_file;

struct Case {
  const char* name;
  const char* bundle;
  std::function<void(json&)> change;
  const char* message;
};

class RefusedBundle : public ::testing::TestWithParam<Case> {};

TEST_P(RefusedBundle, SaysWhy) {
  const TemporaryFolder folder;
  const std::string path = testing::copy_bundle(GetParam().bundle, folder.path("b"));
  json manifest = json::parse(std::ifstream(path + "/manifest.json"));
  GetParam().change(manifest);
  write_file(path + "/manifest.json", manifest.dump());
  const std::string got = raised<ModelError>([&] { read_bundle(path); });
  EXPECT_NE(got.find(GetParam().message), std::string::npos) << got;
  EXPECT_EQ(got.find("another error"), std::string::npos) << got;
}

INSTANTIATE_TEST_SUITE_P(
    All, RefusedBundle,
    ::testing::Values(
        Case{"quantized_experts", "tiny_routed",
             [](json& m) {
               m["quantized"]["encoder"] = m["models"]["a.encoder"];
               m["quantized"]["encoder"]["rest"] = "f32";
             },
             "one of them at a time"},
        Case{"other_f16_ports", "tiny_bundle",
             [](json& m) {
               m["f16"] = m["models"];
               m["f16"]["decoder"]["inputs"][1]["name"] = "coords";
             },
             "f16: decoder"},
        Case{"role_without_a_model", "tiny_routed", [](json& m) { m["experts"]["a"]["decoder"] = "none"; },
             "no model \"none\""},
        Case{"dtype_of_coords", "tiny_bundle", [](json& m) { m["models"]["decoder"]["inputs"][1]["dtype"] = "i32"; },
             "expected f32 (-1, -1, 2)"},
        Case{"first_input", "tiny_bundle", [](json& m) { m["models"]["encoder"]["inputs"][0]["name"] = "picture"; },
             "expected \"image\""},
        Case{"crop_that_is_no_square", "tiny_routed",
             [](json& m) {
               m["models"]["crop_encoder"]["inputs"][0]["shape"] = {-1, 3, 6, 7};
             },
             "expected a square"},
        Case{"experts_of_two_sizes", "tiny_routed",
             [](json& m) {
               m["models"]["decoder2"] = m["models"]["decoder"];
               m["models"]["decoder2"]["outputs"][0]["shape"] = {-1, -1, 8, 8};
               m["experts"]["b"]["decoder"] = "decoder2";
             },
             "answers in another size"},
        Case{"fallback_to_nobody", "tiny_routed", [](json& m) { m["modality"]["fallback"] = "c"; }, "no expert \"c\""},
        Case{"box_shift", "tiny_bundle", [](json& m) { m["profile"]["volume"]["box_shift"] = -1; }, "box_shift"}),
    [](const auto& tested) { return std::string(tested.param.name); });

TEST(CheckModels, AManifestThatIsTooLarge) {
  const TemporaryFolder folder;
  const std::string path = testing::write_tiny_bundle(folder.path("b"));
  write_file(path + "/manifest.json", std::string((1u << 20) + 1, ' '));
  EXPECT_NE(raised<ModelError>([&] { read_bundle(path); }).find("at most 1 MiB"), std::string::npos);
}

}  // namespace
}  // namespace medsam
