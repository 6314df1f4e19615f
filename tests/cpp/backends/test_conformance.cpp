// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What every backend must do, on the tiny bundle. One list of devices; one that this machine lacks is skipped, saying
// so.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <thread>

#include "backends/backend.hpp"
#include "base/sha256.hpp"
#include "bundle/bundle.hpp"
#include "medsam/error.hpp"
#include "support/built_plugin.hpp"
#include "support/tiny_bundle.hpp"

namespace medsam::backends {
namespace {

using testing::kInputSize;
using testing::kMaskSide;

class BackendConformance : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    try {
      backend_ = create_backend(GetParam());
    } catch (const Unsupported& e) {
      GTEST_SKIP() << e.what();
    }
    bundle_ = read_bundle(testing::write_tiny_bundle(folder_.path("bundle")));
  }
  std::shared_ptr<const CompiledModel> compile(const char* role, std::vector<Shape> shapes = {}) {
    return backend_->compile(bundle_.model(role), {"f32", 0, std::move(shapes)}, cache_);
  }
  static std::vector<TensorPtr> encode(Request& request, float value) {
    auto* input = static_cast<float*>(request.input(0, {1, 3, kInputSize, kInputSize}));
    std::fill(input, input + 3 * kInputSize * kInputSize, value);
    return request.run();
  }
  // One box per prompt, (4 n, 4, 4 n + 7, 11) in the prompt frame.
  static std::vector<TensorPtr> decode(Request& request, const TensorPtr& embedding, std::int64_t prompts,
                                       const std::vector<std::int32_t>& index) {
    request.bind(0, embedding);
    auto* coords = static_cast<float*>(request.input(1, {prompts, 2, 2}));
    auto* labels = static_cast<std::int32_t*>(request.input(2, {prompts, 2}));
    for (std::int64_t n = 0; n < prompts; ++n) {
      const auto x = static_cast<float>(4 * n);
      for (const float v : {x, 4.0f, x + 7, 11.0f}) *coords++ = v;
      for (const int v : {2, 3}) *labels++ = v;
    }
    auto* wanted = static_cast<std::int32_t*>(request.input(3, {static_cast<std::int64_t>(index.size())}));
    std::copy(index.begin(), index.end(), wanted);
    return request.run();
  }

  // Where this build has them; a device's absence is then the reason to skip.
  testing::ScopedVariable plugin_{"MEDSAM_ENGINE_PLUGIN_DIR", testing::plugin_folder()};
  testing::ScopedVariable tensorrt_{"TENSORRT_ROOT", testing::tensorrt_folder()};
  testing::TemporaryFolder folder_;
  CacheFolder cache_{folder_.path("cache"), nullptr};
  std::unique_ptr<Backend> backend_;
  Bundle bundle_;
};

TEST_P(BackendConformance, RunsWithFixedShapes) {
  const auto request = compile("encoder", {{1, 3, kInputSize, kInputSize}})->create_request();
  const auto outputs = encode(*request, 0.25f);
  ASSERT_EQ(outputs.size(), 1u);
  EXPECT_EQ(outputs[0]->shape(), (Shape{1, 4, 8, 8}));
  EXPECT_NEAR(outputs[0]->host()[0], 0.25, 1e-6);
  EXPECT_NEAR(outputs[0]->host()[3 * 64 + 5], 3.25, 1e-6);
}

TEST_P(BackendConformance, AnOutputIsNotOverwrittenByTheNextRun) {
  const auto request = compile("encoder", {{1, 3, kInputSize, kInputSize}})->create_request();
  const auto first = encode(*request, 0.25f);
  const auto second = encode(*request, 0.75f);
  EXPECT_NEAR(first[0]->host()[0], 0.25, 1e-6);
  EXPECT_NEAR(second[0]->host()[0], 0.75, 1e-6);
}

TEST_P(BackendConformance, TakesAnyNumberOfPromptsAndMasks) {
  const auto embedding = encode(*compile("encoder", {{1, 3, kInputSize, kInputSize}})->create_request(), 0.5f).at(0);
  const auto request = compile("decoder")->create_request();
  for (const std::int64_t n : {1, 5, 2, 16, 1}) {
    for (const auto& index : {std::vector<std::int32_t>{0}, std::vector<std::int32_t>{1, 2, 3}}) {
      const auto m = static_cast<std::int64_t>(index.size());
      const auto outputs = decode(*request, embedding, n, index);
      ASSERT_EQ(outputs.size(), 2u);
      ASSERT_EQ(outputs[0]->shape(), (Shape{n, m, kMaskSide, kMaskSide}));
      ASSERT_EQ(outputs[1]->shape(), (Shape{n, m}));
      const float token = static_cast<float>(index.back());
      const float* last = outputs[0]->host() + (n * m - 1) * kMaskSide * kMaskSide;
      // Row 3 has its center at y = 7, inside 4..12; row 7 at 15, outside. The box of prompt n covers columns 2n to 2n
      // + 3.
      for (std::int64_t x = 0; x < kMaskSide; ++x) {
        const bool inside = x >= 2 * (n - 1) && x < 2 * (n - 1) + 4;
        EXPECT_NEAR(last[3 * kMaskSide + x], (inside ? 1 : -1) + token / 100, 1e-6) << n << " " << x;
        EXPECT_NEAR(last[7 * kMaskSide + x], -1 + token / 100, 1e-6);
      }
      EXPECT_NEAR(outputs[1]->host()[n * m - 1], 0.5 + token / 10 + 0.5, 1e-6);
    }
  }
}

TEST_P(BackendConformance, ABoundEmbeddingIsReadNotChangedAndCanBeReplaced) {
  const auto encoder = compile("encoder", {{1, 3, kInputSize, kInputSize}});
  const auto one = encode(*encoder->create_request(), 0.1f).at(0);
  const auto two = encode(*encoder->create_request(), 0.2f).at(0);
  const auto request = compile("decoder")->create_request();
  EXPECT_NEAR(decode(*request, one, 1, {0})[1]->host()[0], 0.6, 1e-6);
  EXPECT_NEAR(decode(*request, two, 1, {0})[1]->host()[0], 0.7, 1e-6);
  EXPECT_NEAR(decode(*request, one, 1, {0})[1]->host()[0], 0.6, 1e-6);
  EXPECT_NEAR(one->host()[0], 0.1, 1e-6);
}

TEST_P(BackendConformance, RequestsOfOneModelRunConcurrently) {
  const auto model = compile("encoder", {{1, 3, kInputSize, kInputSize}});
  std::vector<std::thread> threads;
  std::vector<float> got(4);
  for (std::size_t t = 0; t < got.size(); ++t) {
    threads.emplace_back([&, t] {
      const auto request = model->create_request();
      for (int i = 0; i < 10; ++i) got[t] = encode(*request, static_cast<float>(t)).at(0)->host()[0];
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::size_t t = 0; t < got.size(); ++t) EXPECT_NEAR(got[t], static_cast<double>(t), 1e-5);
}

TEST_P(BackendConformance, RefusesAPrecisionItIsNotTold) {
  EXPECT_THROW(static_cast<void>(backend_->compile(bundle_.model("encoder"), {"f17", 0, {}}, cache_)), Unsupported);
}

TEST_P(BackendConformance, RefusesAModelThatIsNotTheManifests) {
  ModelFile model = bundle_.model("encoder");
  model.inputs[0].name = "picture";
  EXPECT_THROW(static_cast<void>(backend_->compile(model, {"f32", 0, {}}, cache_)), ModelError);
  model = bundle_.model("decoder");
  model.outputs.pop_back();
  EXPECT_THROW(static_cast<void>(backend_->compile(model, {"f32", 0, {}}, cache_)), ModelError);
}

TEST_P(BackendConformance, AFileThatIsNoModelIsABackendError) {
  ModelFile model = bundle_.model("encoder");
  // Protobuf, a graph of one node, its operator "NoSuchOp", whose output "y" is the graph's.
  const std::string bytes("\x3a\x14\x0a\x0d\x12\x01y\x22\x08NoSuchOp\x62\x03\x0a\x01y");
  testing::write_file(model.path, bytes);
  model.bytes = bytes.size();
  model.sha256 = sha256_hex(bytes);
  EXPECT_THROW(static_cast<void>(backend_->compile(model, {"f32", 0, {}}, cache_)), BackendError);
}

TEST_P(BackendConformance, AFileThatIsNotTheManifestsIsNotCompiled) {
  const ModelFile& model = bundle_.model("encoder");
  testing::write_file(model.path, std::string(static_cast<std::size_t>(model.bytes), 'x'));
  EXPECT_THROW(static_cast<void>(backend_->compile(model, {"f32", 0, {}}, cache_)), ModelError);
}

TEST_P(BackendConformance, AnOutputSaysWhetherItIsFinite) {
  const auto request = compile("encoder", {{1, 3, kInputSize, kInputSize}})->create_request();
  EXPECT_TRUE(encode(*request, 0.25f)[0]->finite());
  EXPECT_FALSE(encode(*request, std::numeric_limits<float>::infinity())[0]->finite());
}

TEST_P(BackendConformance, AFixedShapeRunsAgainAndAgain) {
  const auto request = compile("encoder", {{1, 3, kInputSize, kInputSize}})->create_request();
  for (int i = 0; i < 6; ++i) {  // CUDA records the work at the second run and replays it from then on
    EXPECT_NEAR(encode(*request, static_cast<float>(i))[0]->host()[0], i, 1e-5) << i;
  }
}

TEST_P(BackendConformance, AnEmbeddingOfTheHostServesToo) {
  const auto made = encode(*compile("encoder", {{1, 3, kInputSize, kInputSize}})->create_request(), 0.1f).at(0);
  const auto copy = std::make_shared<HostTensor>(made->shape());
  std::copy(made->host(), made->host() + element_count(made->shape()), copy->mutable_host());
  const auto request = compile("decoder")->create_request();
  for (const TensorPtr& embedding : {made, TensorPtr(copy), made}) {
    EXPECT_NEAR(decode(*request, embedding, 1, {0})[1]->host()[0], 0.6, 1e-6);
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, BackendConformance, ::testing::Values("CPU", "cuda:0"), [](const auto& tested) {
  std::string name = tested.param;
  name.erase(std::remove(name.begin(), name.end(), ':'), name.end());
  return name;
});

TEST(CreateBackend, NamesWhatThereIs) {
  try {
    create_backend("TPU");
    FAIL();
  } catch (const Unsupported& e) {
    EXPECT_NE(std::string(e.what()).find("CPU"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace medsam::backends
