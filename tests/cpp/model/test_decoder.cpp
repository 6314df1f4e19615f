// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "model/decoder.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "medsam/engine.hpp"
#include "support/engine_test.hpp"
#include "support/fake_backend.hpp"

namespace medsam {
namespace {

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

}  // namespace
}  // namespace medsam
