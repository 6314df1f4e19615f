// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What only a backend that can be told to fail shows.
#include <gtest/gtest.h>

#include <algorithm>

#include "medsam/error.hpp"
#include "support/engine_test.hpp"
#include "support/fake_backend.hpp"

namespace medsam {
namespace {

using testing::fake_backend;

class EngineFaults : public EngineTest {
 protected:
  void TearDown() override {
    fake_backend().fail_after = -1;
    fake_backend().answer_nan = false;
  }
};

TEST_F(EngineFaults, SegmentsMoreThan255BoxesInSmallBatches) {
  const Engine engine(bundle_, options_);
  fake_backend().largest_batch = 0;
  std::vector<Box> boxes;
  for (int i = 0; i < 300; ++i) boxes.push_back({0, 0, 63, 47});
  std::vector<std::uint16_t> labels;
  const LabelView out = view(labels);
  engine.segment(image(), boxes, out);
  EXPECT_TRUE(std::all_of(labels.begin(), labels.end(), [](auto v) { return v == 300; }));
  EXPECT_EQ(fake_backend().largest_batch.load(), 4);
  std::vector<std::uint8_t> narrow(64 * 48);
  EXPECT_THROW(engine.segment(image(), boxes, {narrow.data(), LabelType::u8, 48, 64, 64}), InvalidArgument);
}

TEST_F(EngineFaults, ChecksBoxesBeforeTheExpensivePart) {
  const Engine engine(bundle_, options_);
  std::vector<std::uint16_t> labels;
  const int runs = fake_backend().runs;
  const LabelView out = view(labels);
  EXPECT_THROW(engine.segment(image(), {{0, 0, 100, 10}}, out), InvalidArgument);
  EXPECT_EQ(fake_backend().runs, runs);
}

TEST_F(EngineFaults, ARequestThatFailedIsNotReused) {
  const Engine engine(bundle_, options_);
  fake_backend().fail_after = 0;
  EXPECT_THROW(static_cast<void>(engine.encode(image())), BackendError);
  EXPECT_TRUE(engine.encode(image()).valid());
}

TEST_F(EngineFaults, NotANumberFromTheModelIsAnError) {
  const Engine engine(bundle_, options_);
  const ImageEmbedding embedding = engine.encode(image());
  engine.clear_cache();
  fake_backend().answer_nan = true;
  EXPECT_THROW(static_cast<void>(engine.encode(image())), BackendError);
  EXPECT_THROW(static_cast<void>(engine.predict(embedding, {{Box{0, 0, 1, 1}, {}, nullptr}})), BackendError);
}

}  // namespace
}  // namespace medsam
