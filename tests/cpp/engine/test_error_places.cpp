// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Errors that no other test meets on its way: found by scripts/checks/throw_coverage.py, which wants each place
// reached.
#include <gtest/gtest.h>
#include <xxhash.h>

#include <fstream>
#include <functional>
#include <memory>
#include <stdexcept>

#include "backends/backend.hpp"
#include "base/edge.hpp"
#include "bundle/bundle.hpp"
#include "embedding/embedding_data.hpp"
#include "embedding/embedding_codec.hpp"
#include "image/geometry.hpp"
#include "image/views.hpp"
#include "medsam/error.hpp"
#include "npz/case.hpp"
#include "support/engine_test.hpp"
#include "support/npz_maker.hpp"
#include "support/stand_in_trial.hpp"

namespace medsam {
namespace {

using nlohmann::json;
using testing::TemporaryFolder;
using testing::tiny_manifest;
using testing::write_file;

template <class E>
std::string raised(const std::function<void()>& act) {
  try {
    act();
  } catch (const E& e) {
    return e.what();
  } catch (const std::exception& e) {
    return std::string("another error: ") + e.what();
  }
  return "none";
}

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

TEST(ErrorPlaces, AManifestThatIsTooLarge) {
  const TemporaryFolder folder;
  const std::string path = testing::write_tiny_bundle(folder.path("b"));
  write_file(path + "/manifest.json", std::string((1u << 20) + 1, ' '));
  EXPECT_NE(raised<ModelError>([&] { read_bundle(path); }).find("at most 1 MiB"), std::string::npos);
}

class WrongAnswers : public EngineTest {
 protected:
  // The fake backend answers as the tiny bundle's graphs, whatever the manifest says.
  Engine engine(const std::function<void(json&)>& change) {
    json manifest = tiny_manifest();
    change(manifest["models"]);
    manifest["models"].erase("decoder_mask");
    manifest["prompt"]["mask_input"] = nullptr;
    return Engine(testing::write_tiny_bundle(folder_.path("other"), manifest), options_);
  }
};

TEST_F(WrongAnswers, OfTheEncoder) {
  const Engine other = engine([](json& models) {
    models["encoder"]["outputs"][0]["shape"] = {-1, 4, 4, 4};
    models["decoder"]["inputs"][0]["shape"] = {1, 4, 4, 4};
  });
  EXPECT_NE(raised<ModelError>([&] { static_cast<void>(other.encode(image())); }).find("another shape"),
            std::string::npos);
}

TEST_F(WrongAnswers, OfTheDecoder) {
  const Engine other = engine([](json& models) { models["decoder"]["outputs"][0]["shape"] = {-1, -1, 8, 8}; });
  const ImageEmbedding embedding = other.encode(image());
  Prompt prompt;
  prompt.box = Box{1, 1, 9, 9};
  EXPECT_NE(raised<ModelError>([&] { static_cast<void>(other.predict(embedding, {prompt})); }).find("another shape"),
            std::string::npos);
}

TEST(ErrorPlaces, HalfPrecision) {
  auto data = std::make_shared<detail::EmbeddingData>();
  auto tensor = std::make_shared<backends::HostTensor>(backends::Shape{1, 2});
  tensor->mutable_host()[0] = 1;
  tensor->mutable_host()[1] = 70000;
  data->outputs = {tensor};
  data->fingerprint = std::string(64, '0');
  const ImageEmbedding embedding{std::shared_ptr<const detail::EmbeddingData>(data)};
  EXPECT_NE(raised<BackendError>([&] { static_cast<void>(compacted(embedding)); }).find("65504"), std::string::npos);
  EXPECT_THROW(static_cast<void>(HalfTensor(backends::Shape{1, 2}).host()), BackendError);
}

TEST(ErrorPlaces, AnEmbeddingOfAnotherVersion) {
  auto data = std::make_shared<detail::EmbeddingData>();
  auto tensor = std::make_shared<backends::HostTensor>(backends::Shape{1});
  tensor->mutable_host()[0] = 1;
  data->outputs = {tensor};
  data->fingerprint = std::string(64, '0');
  std::string bytes = write_embedding(ImageEmbedding{std::shared_ptr<const detail::EmbeddingData>(data)});
  bytes[8] = 9;
  bytes.resize(bytes.size() - 16);
  XXH128_canonical_t digest;
  XXH128_canonicalFromHash(&digest, XXH3_128bits(bytes.data(), bytes.size()));
  bytes.append(reinterpret_cast<const char*>(digest.digest), sizeof digest.digest);
  EXPECT_NE(raised<ModelError>([&] { read_embedding(bytes.data(), bytes.size()); }).find("format version 9"),
            std::string::npos);
}

TEST(ErrorPlaces, TypesAndShapesThatAreNone) {
  std::uint8_t byte = 0;
  EXPECT_THROW(check_image({&byte, static_cast<PixelType>(9), 1, 1, 1, 1}), InvalidArgument);
  EXPECT_THROW(check_labels({&byte, static_cast<LabelType>(9), 1, 1, 1}, 1, 1, 1), InvalidArgument);
  EXPECT_THROW(backends::element_count({std::int64_t{1} << 40, std::int64_t{1} << 40}), InvalidArgument);
  EXPECT_NE(raised<BackendError>([] {
              at_edge("here", [] { throw std::runtime_error("a foreign one"); });
            }).find("here: a foreign one"),
            std::string::npos);
}

TEST(ErrorPlaces, AnNpzWithoutItsKeys) {
  const TemporaryFolder folder;
  const std::string path = folder.path("a.npz");
  write_file(path, testing::ZipMaker().add("imgs.npy", testing::small_image()).bytes());
  EXPECT_NE(raised<InvalidArgument>([&] { npz::read_case(path); }).find("no key boxes (keys: imgs.npy)"),
            std::string::npos);
  testing::ZipMaker zip;
  zip.add("imgs.npy", testing::small_image());
  zip.before_end = std::string("PK\x06\x07", 4) + std::string(4, '\0') + std::string(8, '\x7f') + std::string(4, '\0');
  write_file(path, zip.bytes());
  EXPECT_NE(raised<InvalidArgument>([&] { npz::read_case(path); }).find("zip64 record is missing"), std::string::npos);
}

TEST(ErrorPlaces, ATrialThatCannotBeStarted) {
  const TemporaryFolder folder;
  const testing::StandInTrial trial;
  write_file(trial.path("medsam-trial"), "neither a script nor a program");
  json manifest = tiny_manifest();
  manifest["quantized"]["encoder"] = manifest["models"]["encoder"];
  manifest["quantized"]["encoder"]["rest"] = "f32";
  EngineOptions options;
  options.cache_dir = "none";
  options.precision = "int8";
  options.allow_uncertified = true;
  const std::string path = testing::write_tiny_bundle(folder.path("b"), manifest);
  EXPECT_NE(raised<BackendError>([&] { Engine(path, options); }).find("cannot be started"), std::string::npos);
}

}  // namespace
}  // namespace medsam
