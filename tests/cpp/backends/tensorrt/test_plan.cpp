// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Plans without a device: the fingerprint, the cache file, and what the ahead-of-time compiler of TensorRT for RTX
// makes of the tiny bundle's graphs.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <mutex>
#include <sstream>

#include "backends/tensorrt/plan.hpp"
#include "base/sha256.hpp"
#include "medsam/error.hpp"
#include "support/built_plugin.hpp"
#include "support/tiny_bundle.hpp"

namespace medsam::backends::tensorrt {
namespace {

namespace fs = std::filesystem;

const std::vector<Shape> kImage{{1, 3, 32, 32}};

class PlanFile : public ::testing::Test {
 protected:
  void SetUp() override { bundle_ = read_bundle(testing::write_tiny_bundle(folder_.path("bundle"))); }
  [[nodiscard]] std::string fingerprint(const CompileOptions& options, const PlanTarget& target) const {
    return plan_fingerprint(bundle_.model("decoder"), options, target);
  }
  [[nodiscard]] fs::path only_file() const { return fs::directory_iterator(folder_.path("cache/plans"))->path(); }

  testing::TemporaryFolder folder_;
  CacheFolder cache_{folder_.path("cache"), nullptr};
  Bundle bundle_;
};

TEST_F(PlanFile, TheFingerprintNamesEverything) {
  EXPECT_EQ(plan_fingerprint(bundle_.model("encoder"), {"f32", 0, kImage}, {"TensorRT-RTX 1.7.1.116", "sm_89"}),
            "medsam-engine plan 2\nlibrary TensorRT-RTX 1.7.1.116\ntarget sm_89\nprecision f32\nmodel " +
                bundle_.model("encoder").content_hash() + "\ninput image 1x3x32x32 1x3x32x32 1x3x32x32\n");
  const std::string decoder = fingerprint({"f32", 0, {}}, {"L", "sm_120"});
  EXPECT_NE(decoder.find("\ninput image_embedding 1x4x8x8 1x4x8x8 1x4x8x8\n"), std::string::npos) << decoder;
  EXPECT_NE(decoder.find("\ninput point_coords 1x1x2 4x2x2 16x64x2\n"), std::string::npos) << decoder;
  EXPECT_NE(decoder.find("\ninput mask_index 1 1 8\n"), std::string::npos) << decoder;
}

TEST_F(PlanFile, IsReadBackForItsFingerprintOnly) {
  const std::string mine = fingerprint({"f32", 0, {}}, {"L 1", "sm_89"});
  const std::string plan("\0plan\n\n", 7);
  write_plan(cache_, mine, plan.data(), plan.size());
  EXPECT_EQ(read_plan(cache_, mine), std::vector<char>(plan.begin(), plan.end()));
  EXPECT_TRUE(read_plan(cache_, fingerprint({"f32", 0, {}}, {"L 2", "sm_89"})).empty());
  EXPECT_TRUE(read_plan(cache_, fingerprint({"f32", 0, {}}, {"L 1", "sm_86"})).empty());
  EXPECT_TRUE(read_plan(cache_, fingerprint({"f16", 0, {}}, {"L 1", "sm_89"})).empty());
  EXPECT_TRUE(read_plan(CacheFolder("none", nullptr), mine).empty());
}

TEST_F(PlanFile, WhatIsKeptBesideAPlanIsOfItsKind) {
  const std::string mine = fingerprint({"f32", 0, {}}, {"L 1", "sm_89"});
  write_kept(cache_, mine, "kernels", "k\0", 2);
  write_plan(cache_, mine, "plan", 4);
  EXPECT_EQ(read_kept(cache_, mine, "kernels"), std::string("k\0", 2));
  EXPECT_EQ(read_kept(cache_, mine, "timings"), "");
  EXPECT_EQ(read_plan(cache_, mine).size(), 4u);
}

TEST_F(PlanFile, ATornChangedOrForeignOneIsRefused) {
  const std::string mine = fingerprint({"f32", 0, {}}, {"L 1", "sm_89"});
  const std::string plan(1000, 'p');
  write_plan(cache_, mine, plan.data(), plan.size());
  const fs::path file = only_file();
  std::ifstream in(file, std::ios::binary);
  std::ostringstream content;
  content << in.rdbuf();
  const std::string whole = content.str();
  for (const std::size_t size : {std::size_t{0}, mine.size(), mine.size() + 70, whole.size() - 1}) {
    testing::write_file(file.string(), whole.substr(0, size));
    EXPECT_TRUE(read_plan(cache_, mine).empty()) << size;
  }
  for (const std::size_t at : {std::size_t{3}, mine.size() + 10, whole.size() - 5}) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    testing::write_file(file.string(), changed);
    EXPECT_TRUE(read_plan(cache_, mine).empty()) << at;
  }
  testing::write_file(file.string(), whole);
  EXPECT_EQ(read_plan(cache_, mine).size(), plan.size());
}

/// With the library, but no device.
class AheadOfTime : public PlanFile {
 protected:
  void SetUp() override {
    PlanFile::SetUp();
    if (testing::tensorrt_folder().empty()) GTEST_SKIP() << "no TensorRT library; pip install tensorrt-rtx-cu13";
    if (!library().rtx) GTEST_SKIP() << library().name << " builds plans on a device only";
  }
  std::vector<char> build(const ModelFile& model, const CompileOptions& options, const std::string& target = "sm_89") {
    return build_plan(library(), model, options, cache_, target);
  }
  const testing::ScopedVariable root_{"TENSORRT_ROOT", testing::tensorrt_folder()};
};

TEST_F(AheadOfTime, BuildsEveryGraph) {
  EXPECT_GT(build(bundle_.model("encoder"), {"f32", 0, kImage}).size(), 1000u);
  EXPECT_GT(build(bundle_.model("encoder"), {"f32", 0, {}}).size(), 1000u) << "any number of images";
  EXPECT_GT(build(bundle_.model("decoder"), {"f32", 0, {}}).size(), 1000u);
  EXPECT_GT(build(bundle_.model("decoder_mask"), {"f32", 0, {}}).size(), 1000u);
}

// TensorRT for RTX calls a monitor that was compiled against TensorRT's headers.
TEST_F(AheadOfTime, TellsHowFarItIs) {
  std::mutex mutex;
  std::vector<std::string> lines;
  const auto report = [&](const std::string& line) {
    const std::lock_guard lock(mutex);
    lines.push_back(line);
  };
  build(bundle_.model("decoder"), {"f32", 0, {}, report});
  ASSERT_GT(lines.size(), 3u);
  EXPECT_EQ(lines.back(), "building the plan of decoder.onnx for sm_89, once: 100 %");
  EXPECT_NE(lines.front(), lines.back());
}

TEST_F(AheadOfTime, BuildsForTheGenerationThatIsNamed) {
  const ModelFile& decoder = bundle_.model("decoder");
  const auto other = [&](const std::string& target) { return build(decoder, {"f32", 0, {}}, target); };
  const std::vector<char> ada = other("sm_89"), blackwell = other("sm_120");
  EXPECT_GT(ada.size(), 1000u);
  EXPECT_NE(ada, blackwell);
  for (const char* target : {"sm_90", "sm_42", "sm_1", "sm_", "", "89"}) {
    try {
      other(target);
      ADD_FAILURE() << target;
    } catch (const Unsupported& e) {
      EXPECT_NE(std::string(e.what()).find(std::string("got ") + target), std::string::npos) << e.what();
    }
  }
}

TEST_F(AheadOfTime, RefusesAModelThatIsNotTheManifests) {
  ModelFile model = bundle_.model("encoder");
  model.inputs[0].name = "picture";
  EXPECT_THROW(build(model, {"f32", 0, kImage}), ModelError);
  model = bundle_.model("decoder");
  model.outputs.pop_back();
  EXPECT_THROW(build(model, {"f32", 0, {}}), ModelError);
  model = bundle_.model("decoder");
  model.inputs[1].shape = {-1, -1, 3};
  EXPECT_THROW(build(model, {"f32", 0, {}}), ModelError);
}

TEST_F(AheadOfTime, AGraphOfUnknownOperatorsIsABackendErrorInOneLine) {
  ModelFile model = bundle_.model("encoder");
  std::ifstream in(model.path, std::ios::binary);
  std::string graph{std::istreambuf_iterator<char>(in), {}};
  const std::string known = "Conv", unknown = "Canv";
  const std::size_t at = graph.find(known);
  ASSERT_NE(at, std::string::npos);
  graph.replace(at, known.size(), unknown);
  testing::write_file(model.path, graph);
  model.sha256 = sha256_hex(graph);  // as a manifest of this file has it: what differs from it is refused before
  try {
    build(model, {"f32", 0, kImage});
    FAIL();
  } catch (const BackendError& e) {
    EXPECT_NE(std::string(e.what()).find("encoder.onnx"), std::string::npos) << e.what();
    EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos) << e.what();
  }
}

TEST_F(AheadOfTime, RefusesAPrecisionThatTheGraphIsNotOf) {
  EXPECT_THROW(build(bundle_.model("encoder"), {"f16", 0, kImage}), Unsupported);
}

}  // namespace
}  // namespace medsam::backends::tensorrt
