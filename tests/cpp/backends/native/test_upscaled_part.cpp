// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A part of the logits: the same bits as in whole maps, on every target, and nothing in the tensor that was not
// computed.
#include <utility>

#include "backends/native/decoder/decoding.hpp"
#include "bundle/variant.hpp"
#include "medsam/error.hpp"
#include "support/raised.hpp"
#include "support/sam_decoder_test.hpp"

namespace medsam::testing {
namespace {

using backends::MapPart;
using backends::Shape;
using backends::native::DecoderInput;
using backends::native::DecoderWorkspace;
using backends::native::Format;
using backends::native::Machine;
using backends::native::SamDecoder;
using backends::native::ThreadPool;

/// The top left (height, width) of (maps, side, side).
std::vector<float> cut(const std::vector<float>& maps, std::int64_t side, std::int64_t height, std::int64_t width) {
  std::vector<float> values;
  for (auto map = maps.begin(); map != maps.end(); map += side * side) {
    for (std::int64_t y = 0; y < height; ++y) values.insert(values.end(), map + y * side, map + y * side + width);
  }
  return values;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

/// A decoder on one target.
class TargetDecoder {
 public:
  TargetDecoder(const SamSizes& sizes, Format format, const kernels::EncoderTarget& target)
      : embedding_(random_sam_embedding(sizes)),
        prompts_(random_sam_prompts(sizes, 3, 2, {0, 2})),
        decoder_(load(random_sam_checkpoint(sizes), format)),
        machine_{&target, &threads_},
        workspace_(decoder_, threads_.size(), true) {}

  /// Logits of the top left (rows, columns) image tokens: NaN where none was written.
  std::vector<float> logits(std::int64_t rows, std::int64_t columns) {
    DecoderInput input;
    input.embedding = embedding_.data();
    input.prompts = prompts_.prompts;
    input.tokens = prompts_.tokens;
    input.coords = prompts_.coords.data();
    input.labels = prompts_.labels.data();
    input.mask_index = prompts_.mask_index.data();
    input.masks = static_cast<std::int64_t>(prompts_.mask_index.size());
    std::vector<float> logits(static_cast<std::size_t>(input.prompts * input.masks * 16 * rows * columns), NAN);
    std::vector<float> quality(static_cast<std::size_t>(input.prompts * input.masks), NAN);
    run_decoder(decoder_, machine_, input, workspace_, prepared_, {rows, columns, logits.data(), quality.data()});
    prepared_ = true;
    if (quality_.empty()) quality_ = quality;
    EXPECT_TRUE(same_bits(quality, quality_)) << "the quality has nothing to do with it";
    return logits;
  }

 private:
  static SamDecoder load(const SamCheckpoint& checkpoint, Format format) {
    const std::string bytes = folded_decoder_file(checkpoint).bytes();
    return backends::native::load_sam_decoder(backends::native::Weights("weights", bytes), format);
  }

  std::vector<float> embedding_;
  SamPrompts prompts_;
  SamDecoder decoder_;
  ThreadPool threads_{2};
  Machine machine_;
  DecoderWorkspace workspace_;
  std::vector<float> quality_;
  bool prepared_ = false;
};

// More columns than are up-scaled together, and rests of every kind of a product's rows.
TEST(UpscaledPart, HasTheBitsOfWholeMapsOnEveryTarget) {
  using Part = std::pair<std::int64_t, std::int64_t>;
  for (const kernels::EncoderTarget* target : kernels::available_encoder_targets()) {
    const bool best = target == kernels::available_encoder_targets().back();
    const SamSizes sizes{.grid = best ? 34 : 10, .masks = false};
    const std::vector<Part> parts = best ? std::vector<Part>{{34, 33}, {21, 34}, {34, 15}, {1, 1}, {7, 23}, {33, 2}}
                                         : std::vector<Part>{{10, 7}, {1, 1}, {3, 10}};
    for (const Format format : {Format::f32, Format::bf16}) {
      TargetDecoder decoder(sizes, format, *target);
      const std::vector<float> whole = decoder.logits(sizes.grid, sizes.grid);
      EXPECT_TRUE(same_bits(whole, whole));
      EXPECT_EQ(std::count_if(whole.begin(), whole.end(), [](float v) { return std::isnan(v); }), 0);
      for (const auto& [rows, columns] : parts) {
        EXPECT_TRUE(same_bits(decoder.logits(rows, columns), cut(whole, 4 * sizes.grid, 4 * rows, 4 * columns)))
            << target->name << " " << rows << " x " << columns;
      }
      EXPECT_TRUE(same_bits(decoder.logits(sizes.grid, sizes.grid), whole)) << "whole again after parts";
    }
  }
}

class UpscaledPartOfARequest : public ::testing::TestWithParam<const char*> {};

// The tensor is as large as what was computed: there is no place for a value of another call.
TEST_P(UpscaledPartOfARequest, IsAllThatItsTensorHolds) {
  const SamSizes sizes{.grid = 6};
  const SamPrompts prompts = random_sam_prompts(sizes, 9, 3, {0, 3});
  const auto embedding = embedding_tensor(sizes, random_sam_embedding(sizes));
  const SamModel model = sam_model(random_sam_checkpoint(sizes), GetParam(), 2);
  const auto request = model->create_request();
  const SamOutput whole = decode(*request, sizes, embedding, prompts);
  for (const MapPart part : {MapPart{24, 24}, MapPart{1, 1}, MapPart{13, 24}, MapPart{24, 4}, MapPart{5, 17}}) {
    fill_prompts(*request, sizes, prompts);
    request->bind(0, embedding);
    const std::vector<backends::TensorPtr> outputs = request->run_part(part);
    const std::int64_t height = (part.height + 3) / 4 * 4, width = (part.width + 3) / 4 * 4;
    EXPECT_EQ(outputs.at(0)->shape(), (Shape{9, 2, height, width}));
    EXPECT_TRUE(output_of(outputs) == (SamOutput{cut(whole.logits, 24, height, width), whole.quality})) << part.height;
    EXPECT_TRUE(decode(*request, sizes, embedding, prompts) == whole) << "run() computes all, whatever came before";
  }
}

TEST_P(UpscaledPartOfARequest, IsRefusedWhereThereIsNone) {
  const SamSizes sizes{.grid = 6};
  const SamPrompts prompts = random_sam_prompts(sizes, 1, 3, {0});
  const auto embedding = embedding_tensor(sizes, random_sam_embedding(sizes));
  const auto request = sam_model(random_sam_checkpoint(sizes), GetParam())->create_request();
  const SamOutput whole = decode(*request, sizes, embedding, prompts);
  const std::int64_t wide = std::int64_t{1} << 62;
  for (const MapPart part : {MapPart{0, 24}, MapPart{-4, 24}, MapPart{25, 24}, MapPart{wide, 1}}) {
    for (const bool turned : {false, true}) {
      fill_prompts(*request, sizes, prompts);
      request->bind(0, embedding);
      const std::string text = raised<BackendError>([&] {
        static_cast<void>(request->run_part(turned ? MapPart{part.width, part.height} : part));
      });
      EXPECT_EQ(text, std::string("native decoder: part of the logits: got a ") + (turned ? "width" : "height") +
                          " of " + std::to_string(part.height) + ", expected 1 to 24");
      EXPECT_TRUE(decode(*request, sizes, embedding, prompts) == whole);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Precision, UpscaledPartOfARequest, ::testing::Values(kF32Fused, kBf16Fused),
                         [](const auto& precision) { return std::string(precision.param); });

}  // namespace
}  // namespace medsam::testing
