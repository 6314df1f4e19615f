// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "model/decoder.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <thread>
#include <vector>

#include "medsam/engine.hpp"
#include "medsam/error.hpp"
#include "support/engine_test.hpp"
#include "support/fake_backend.hpp"
#include "support/raised.hpp"

namespace medsam {
namespace {

using nlohmann::json;
using testing::raised;

class DecoderTest : public EngineTest {
 protected:
  void TearDown() override { testing::fake_backend().before_reading = nullptr; }

  static PredictOptions any() {
    PredictOptions options;
    options.allow_untrained = true;
    return options;
  }

  static Prompt box() {
    Prompt prompt;
    prompt.box = Box{4, 4, 30, 30};
    return prompt;
  }
};

// The graph for masks is compiled when the first prompt has one, which takes seconds; a decoder that held a lock
// meanwhile would never end here.
TEST_F(DecoderTest, BoxesAreAnsweredWhileTheGraphForMasksIsCompiled) {
  const Engine engine(bundle_, options_);
  const ImageEmbedding embedding = engine.encode(image());
  const std::vector<float> logits(testing::kMaskSide * testing::kMaskSide, 0.5f);
  Prompt masked = box();
  masked.mask_input = logits.data();
  int answered = 0, compiled = 0;
  testing::fake_backend().before_reading = [&](const std::string&) {
    ++compiled;
    std::thread([&] { answered += engine.predict(embedding, {box()}, any()).size() == 1 ? 1 : 0; }).join();
  };
  static_cast<void>(engine.predict(embedding, {masked}, any()));
  static_cast<void>(engine.predict(embedding, {masked}, any()));
  EXPECT_EQ(compiled, 1);
  EXPECT_EQ(answered, 1);
}

// A graph that could not be compiled is tried again.
TEST_F(DecoderTest, AGraphThatFailedIsCompiledAtTheNextPrompt) {
  const Engine engine(bundle_, options_);
  const ImageEmbedding embedding = engine.encode(image());
  const std::vector<float> logits(testing::kMaskSide * testing::kMaskSide, 0.5f);
  Prompt masked = box();
  masked.mask_input = logits.data();
  testing::fake_backend().before_reading = [](const std::string&) { throw BackendError("no memory"); };
  EXPECT_THROW(static_cast<void>(engine.predict(embedding, {masked}, any())), BackendError);
  EXPECT_EQ(engine.predict(embedding, {box()}, any()).size(), 1);
  testing::fake_backend().before_reading = nullptr;
  EXPECT_EQ(engine.predict(embedding, {masked}, any()).size(), 1);
}

class WrongAnswers : public EngineTest {
 protected:
  // The fake backend answers as the tiny bundle's graphs, whatever the manifest says.
  Engine engine(const std::function<void(json&)>& change) {
    json manifest = testing::tiny_manifest();
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

}  // namespace
}  // namespace medsam
