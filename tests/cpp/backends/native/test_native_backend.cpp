// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The native encoder behind the interface of a backend: what it takes, what it gives, what it refuses.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "backends/backend.hpp"
#include "base/sha256.hpp"
#include "bundle/bundle.hpp"
#include "medsam/error.hpp"
#include "support/tiny_bundle.hpp"
#include "support/tiny_vit_file.hpp"

namespace medsam::backends {
namespace {

class NativeBackend : public ::testing::Test {
 protected:
  void SetUp() override {
    backend_ = create_native("CPU");
    if (backend_ == nullptr) GTEST_SKIP() << "no fast products on this processor";
    model_ = read_bundle(testing::write_tiny_bundle(folder_.path("bundle"))).model("encoder");
    model_.path = folder_.path("weights");
    model_.onnx = false;
    model_.inputs.at(0).shape = {-1, 3, 32, 32};
    model_.outputs.at(0).shape = {1, 32, 16, 16};
  }
  std::shared_ptr<const CompiledModel> compile(const testing::TinyVitFile& file, const char* precision = kF32Fused) {
    const std::string bytes = file.bytes();
    testing::write_file(model_.path, bytes);
    model_.bytes = bytes.size();
    model_.sha256 = sha256_hex(bytes);
    return backend_->compile(model_, {precision, 1, {}}, cache_);
  }
  /// Refused as E, with these words.
  template <class E, class F>
  static void refuses(const F& f, const std::string& words) {
    try {
      f();
      FAIL() << "taken; expected " << words;
    } catch (const E& error) {
      EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
    }
  }

  void encodes_an_image(const char* precision);

  testing::TemporaryFolder folder_;
  CacheFolder cache_{"none", {}};
  std::unique_ptr<Backend> backend_;
  ModelFile model_;
};

TEST_F(NativeBackend, EncodesAnImage) {
  EXPECT_EQ(create_native("GPU"), nullptr);
  EXPECT_TRUE(backend_->native(kF32Fused));
  EXPECT_FALSE(backend_->native("bf16"));
  for (const char* precision : {kF32Fused, kBf16Fused}) {
    if (backend_->native(precision)) encodes_an_image(precision);
  }
}

void NativeBackend::encodes_an_image(const char* precision) {
  const auto request = compile(testing::tiny_vit_file(), precision)->create_request();
  std::vector<TensorPtr> embeddings;
  for (const float value : {0.25F, 0.25F, 0.75F}) {
    auto* image = static_cast<float*>(request->input(0, {1, 3, 32, 32}));
    std::fill(image, image + 3 * 32 * 32, value);
    const std::vector<TensorPtr> outputs = request->run();
    ASSERT_EQ(outputs.size(), 1U);
    EXPECT_EQ(outputs[0]->shape(), (Shape{1, 32, 16, 16}));
    EXPECT_TRUE(outputs[0]->finite());
    embeddings.push_back(outputs[0]);
  }
  const auto same = [&](std::size_t a, std::size_t b) {
    return std::equal(embeddings[a]->host(), embeddings[a]->host() + 32 * 16 * 16, embeddings[b]->host());
  };
  EXPECT_TRUE(same(0, 1));
  EXPECT_FALSE(same(0, 2));
}

TEST_F(NativeBackend, TheSecondLoadTakesTheVerifiedBytesFromTheCache) {
  cache_ = CacheFolder(folder_.path("cache"), nullptr);
  const auto embedding = [](const CompiledModel& model) {
    const auto request = model.create_request();
    auto* image = static_cast<float*>(request->input(0, {1, 3, 32, 32}));
    std::fill(image, image + 3 * 32 * 32, 0.25F);
    return request->run().at(0)->host()[5];
  };
  const float first = embedding(*compile(testing::tiny_vit_file()));
  testing::write_file(model_.path, "anything else");  // which nobody looks at
  const ModelSource source(model_);
  EXPECT_EQ(embedding(*backend_->compile(source, {kF32Fused, 1, {}}, cache_)), first);
  EXPECT_FALSE(source.was_read());
  const std::filesystem::path kept = std::filesystem::directory_iterator(folder_.path("cache/weights"))->path();
  std::filesystem::resize_file(kept, std::filesystem::file_size(kept) - 1);
  EXPECT_THROW(static_cast<void>(backend_->compile(model_, {kF32Fused, 1, {}}, cache_)), ModelError)
      << "a damaged entry is as none";
}

TEST_F(NativeBackend, RefusesAnotherPrecision) {
  refuses<Unsupported>([&] { compile(testing::tiny_vit_file(), "bf16"); }, "got \"bf16\", expected bf16_fused");
}

TEST_F(NativeBackend, RefusesAnotherNetwork) {
  testing::TinyVitFile file = testing::tiny_vit_file();
  file.about["architecture"] = "swin\n";
  refuses<ModelError>([&] { compile(file); }, R"(holds the architecture "swin\n", expected tiny_vit)");
  refuses<ModelError>([&] { compile(testing::tiny_vit_file({.neck = 64})); }, "makes another embedding");
  model_.inputs.at(0).shape = {-1, 3, 64, 64};
  refuses<ModelError>([&] { compile(testing::tiny_vit_file()); }, "takes images of 32 pixels a side");
}

// A model plays one role: an encoder's file under a decoder's name is no decoder.
TEST_F(NativeBackend, RefusesAnotherStagesNetwork) {
  model_.role = "decoder";
  refuses<ModelError>([&] { compile(testing::tiny_vit_file()); }, "holds the architecture \"tiny_vit\"");
}

// The shipped certificates name the encoder's; a change to one stage's kernels must not end the other's.
TEST_F(NativeBackend, StagesHaveRevisionsOfTheirOwn) {
  EXPECT_EQ(backend_->revision(Stage::encoder), "fused 2");
  EXPECT_EQ(backend_->revision(Stage::decoder), "fused decoder 1");
  EXPECT_EQ(backend_->library(), "fused 2, fused decoder 1");
}

TEST_F(NativeBackend, RefusesAnotherInput) {
  const auto request = compile(testing::tiny_vit_file())->create_request();
  const TensorPtr tensor = std::make_shared<HostTensor>(Shape{1});
  refuses<BackendError>([&] { request->input(0, {1, 3, 64, 64}); }, "another shape than (1, 3, 32, 32)");
  refuses<BackendError>([&] { request->input(1, {1, 3, 32, 32}); }, "another shape than (1, 3, 32, 32)");
  refuses<BackendError>([&] { request->bind(0, tensor); }, "takes no embedding");
}

}  // namespace
}  // namespace medsam::backends
