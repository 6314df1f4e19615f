// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What the native decoder computes: SAM's formulas (support/sam_reference.cpp), whoever else is in the batch and
// however many threads there are.
#include <algorithm>
#include <thread>

#include "backends/native/decoder/decoding.hpp"
#include "bundle/variant.hpp"
#include "support/sam_decoder_test.hpp"

namespace medsam::testing {
namespace {

// In parts of the logits' range. Measured: 2e-6 of f32 and 0.007 of bf16, whose image tokens are rounded in every
// layer.
constexpr double kExact = 1e-5, kRounded = 0.02;

void expect_close(const SamOutput& got, const SamAnswer& expected, double bound, const std::string& what) {
  EXPECT_LE(difference(got.logits, expected.logits), bound) << what;
  // The quality of a few masks has hardly a range of its own.
  ASSERT_EQ(got.quality.size(), expected.quality.size());
  for (std::size_t i = 0; i < got.quality.size(); ++i) {
    EXPECT_NEAR(got.quality[i], expected.quality[i], bound * (4 + std::abs(expected.quality[i]))) << what;
  }
}

void expect_formulas(const SamSizes& sizes, const std::vector<SamPrompts>& cases) {
  const SamCheckpoint checkpoint = random_sam_checkpoint(sizes);
  const std::vector<float> embedding = random_sam_embedding(sizes);
  const auto tensor = embedding_tensor(sizes, embedding);
  const auto exact = sam_model(checkpoint, kF32Fused, 2)->create_request();
  const auto rounded = sam_model(checkpoint, kBf16Fused, 2)->create_request();
  for (const SamPrompts& prompts : cases) {
    const std::string what = std::to_string(prompts.prompts) + " prompts of " + std::to_string(prompts.tokens) +
                             " tokens, " + std::to_string(prompts.mask_index.size()) + " masks";
    const SamAnswer expected = decode_plainly(checkpoint, embedding, prompts);
    expect_close(decode(*exact, sizes, tensor, prompts), expected, kExact, "f32: " + what);
    expect_close(decode(*rounded, sizes, tensor, prompts), expected, kRounded, "bf16: " + what);
  }
}

TEST(SamDecoder, FollowsTheFormulasWithoutMasks) {
  const SamSizes sizes{.masks = false};
  expect_formulas(sizes, {random_sam_prompts(sizes, 1, 2, {0}), random_sam_prompts(sizes, 2, 1, {3}),
                          random_sam_prompts(sizes, 9, 7, {0, 1, 2, 3}), random_sam_prompts(sizes, 20, 3, {2})});
}

TEST(SamDecoder, FollowsTheFormulasWithMasks) {
  const SamSizes sizes{.frame = 1024, .shift = "0"};
  expect_formulas(sizes, {random_sam_prompts(sizes, 1, 5, {0, 1, 2, 3}), random_sam_prompts(sizes, 9, 2, {3, 0}),
                          random_sam_prompts(sizes, 2, 1, {1})});
}

TEST(SamDecoder, FollowsTheFormulasForManyTokens) {
  const SamSizes sizes{.masks = false};
  // Five of 130 are more columns than a batch takes.
  expect_formulas(sizes, {random_sam_prompts(sizes, 1, 300, {0}), random_sam_prompts(sizes, 5, 130, {1})});
}

TEST(SamDecoder, TheSumsOverTheImageOfABatchAreBounded) {
  namespace native = backends::native;
  for (const std::int64_t grid : {16, 64, 128, 256}) {
    native::SamDecoder decoder;
    decoder.grid = grid;
    decoder.dim = 256;
    for (const std::int64_t tokens : {1, 7, 9, 130, 300, 1030}) {
      const std::int64_t columns = kernels::score_columns(tokens);
      const std::int64_t batch = native::batch_of(decoder, 20, columns);
      ASSERT_TRUE(batch >= 1 && batch <= native::kBatch);
      const std::int64_t bytes = native::pieces_of(decoder) * columns * decoder.dim * 4;
      EXPECT_TRUE(batch == 1 || batch * bytes <= native::kBatchBytes) << grid << " " << tokens;
      EXPECT_TRUE(batch == native::kBatch || (batch + 1) * bytes > native::kBatchBytes ||
                  (batch + 1) * columns > native::kBatchColumns)
          << grid << " " << tokens;
    }
    EXPECT_EQ(native::batch_of(decoder, 3, kernels::score_columns(7)), 3) << "no more than there are";
  }
}

// Several pieces of the image, the last of them short, and more tokens in a row than are up-scaled together; a single
// pair of image tokens.
TEST(SamDecoder, FollowsTheFormulasForAnyGrid) {
  for (const std::int64_t grid : {2, 18, 34}) {
    for (const bool masks : {false, true}) {
      const SamSizes sizes{.grid = grid, .masks = masks};
      expect_formulas(sizes, {random_sam_prompts(sizes, 1, 3, {0, 3})});
    }
  }
}

// EfficientViT-SAM's norms. In the first layer, what is attended to is all that norm1 gets: so little of it that either
// epsilon is a part of its variance.
TEST(SamDecoder, HasTheEpsilonOfItsNorms) {
  std::vector<SamOutput> outputs;
  for (const double epsilon : {1e-5, 1e-6}) {
    const SamSizes sizes{.masks = false, .epsilon = epsilon};
    SamCheckpoint checkpoint = random_sam_checkpoint(sizes);
    const std::string name = "transformer.layers.0.self_attn.out_proj";
    for (const char* part : {".weight", ".bias"}) {
      for (float& value : checkpoint.tensors.at(name + part).values) value *= 0.003F;
    }
    const std::vector<float> embedding = random_sam_embedding(sizes);
    const SamPrompts prompts = random_sam_prompts(sizes, 2, 3, {0, 1, 2, 3});
    const auto request = sam_model(checkpoint, kF32Fused)->create_request();
    outputs.push_back(decode(*request, sizes, embedding_tensor(sizes, embedding), prompts));
    expect_close(outputs.back(), decode_plainly(checkpoint, embedding, prompts), kExact, std::to_string(epsilon));
  }
  EXPECT_FALSE(outputs.at(0) == outputs.at(1));
}

class SamDecoderBits : public ::testing::TestWithParam<const char*> {
 protected:
  SamSizes sizes_{.grid = 18, .masks = false};
  SamCheckpoint checkpoint_ = random_sam_checkpoint(sizes_);
  backends::TensorPtr embedding(std::uint32_t seed) const {
    return embedding_tensor(sizes_, random_sam_embedding(sizes_, seed));
  }
};

TEST_P(SamDecoderBits, AreTheSameForAnyNumberOfThreads) {
  for (const bool masks : {false, true}) {
    sizes_.masks = masks;
    checkpoint_ = random_sam_checkpoint(sizes_);
    const SamPrompts prompts = random_sam_prompts(sizes_, 9, 4, {0, 2});
    const SamOutput one =
        decode(*sam_model(checkpoint_, GetParam(), 1)->create_request(), sizes_, embedding(1), prompts);
    for (const int threads : {2, 3}) {
      const auto request = sam_model(checkpoint_, GetParam(), threads)->create_request();
      EXPECT_EQ(decode(*request, sizes_, embedding(1), prompts), one) << threads;
      for (std::int64_t i = 0; i < prompts.prompts; ++i) {
        EXPECT_EQ(decode(*request, sizes_, embedding(1), prompts.only(i)), one.only(i, prompts.prompts))
            << "prompt " << i << " alone";
      }
    }
  }
}

// What the passes before the first prompt make of an image is kept from run to run.
TEST_P(SamDecoderBits, AreThoseOfTheEmbeddingThatIsBound) {
  const SamModel model = sam_model(checkpoint_, GetParam(), 2);
  const SamPrompts prompts = random_sam_prompts(sizes_, 2, 3, {0});
  const backends::TensorPtr first = embedding(1), second = embedding(2);
  const SamOutput of_first = decode(*model->create_request(), sizes_, first, prompts);
  const SamOutput of_second = decode(*model->create_request(), sizes_, second, prompts);
  EXPECT_FALSE(of_first == of_second);
  const auto request = model->create_request();
  for (const bool other : {false, true, true, false, false}) {
    EXPECT_EQ(decode(*request, sizes_, other ? second : first, prompts), other ? of_second : of_first);
  }
}

// One image's embedding dies and the next one's takes its place in memory: the address says nothing.
TEST_P(SamDecoderBits, AreNotThoseOfAnEmbeddingThatLayThereBefore) {
  const SamModel model = sam_model(checkpoint_, GetParam(), 1);
  const SamPrompts prompts = random_sam_prompts(sizes_, 1, 3, {0});
  const auto request = model->create_request();
  int at_the_same_place = 0;
  const backends::Tensor* before = nullptr;
  for (const std::uint32_t seed : {1, 2, 1, 3, 4, 1}) {
    const SamOutput expected = decode(*model->create_request(), sizes_, embedding(seed), prompts);
    const backends::TensorPtr tensor = embedding(seed);
    at_the_same_place += tensor.get() == before ? 1 : 0;
    before = tensor.get();
    EXPECT_EQ(decode(*request, sizes_, tensor, prompts), expected) << seed;
  }
  RecordProperty("at_the_same_place", at_the_same_place);
}

// Memory is kept from run to run, of other sizes too.
TEST_P(SamDecoderBits, AreTheSameAfterRunsOfOtherSizes) {
  const SamModel model = sam_model(checkpoint_, GetParam(), 2);
  const auto request = model->create_request();
  const std::vector<SamPrompts> cases = {
      random_sam_prompts(sizes_, 3, 2, {0}), random_sam_prompts(sizes_, 1, 60, {0, 1, 2, 3}),
      random_sam_prompts(sizes_, 10, 2, {1}), random_sam_prompts(sizes_, 1, 1, {3, 3, 0, 1, 2}),
      random_sam_prompts(sizes_, 3, 2, {2})};
  std::vector<SamOutput> fresh;
  for (const SamPrompts& prompts : cases) {
    fresh.push_back(decode(*model->create_request(), sizes_, embedding(1), prompts));
  }
  for (const std::size_t i : {0U, 1U, 2U, 3U, 4U, 1U, 0U, 3U, 2U, 4U}) {
    EXPECT_EQ(decode(*request, sizes_, embedding(1), cases[i]), fresh[i]) << i;
  }
}

TEST_P(SamDecoderBits, AreTheSameForRequestsThatRunAtOnce) {
  const SamModel model = sam_model(checkpoint_, GetParam(), 2);
  const SamPrompts prompts = random_sam_prompts(sizes_, 3, 3, {0, 1});
  const std::vector<backends::TensorPtr> embeddings = {embedding(1), embedding(2)};
  std::vector<SamOutput> expected;
  for (const backends::TensorPtr& e : embeddings) {
    expected.push_back(decode(*model->create_request(), sizes_, e, prompts));
  }
  std::vector<int> wrong(4);
  std::vector<std::thread> callers;
  for (std::size_t i = 0; i < wrong.size(); ++i) {
    callers.emplace_back([&, i] {
      const auto request = model->create_request();
      for (std::size_t run = i; run < i + 4; ++run) {
        if (!(decode(*request, sizes_, embeddings[run % 2], prompts) == expected[run % 2])) ++wrong[i];
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong, std::vector<int>(4));
}

INSTANTIATE_TEST_SUITE_P(Precision, SamDecoderBits, ::testing::Values(kF32Fused, kBf16Fused),
                         [](const auto& precision) { return std::string(precision.param); });

}  // namespace
}  // namespace medsam::testing
