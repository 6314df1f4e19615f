// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// One run of the decoder: what its passes read and write (README.md says in which order).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "backends/native/block.hpp"
#include "backends/native/decoder/sam_decoder.hpp"

namespace medsam::backends::native {

/// Prompts about one image, all with equally many tokens.
struct DecoderInput {
  const float* embedding = nullptr;  // (dim, grid, grid)
  std::int64_t prompts = 0, tokens = 0;
  const float* coords = nullptr;         // (prompts, tokens, 2)
  const std::int32_t* labels = nullptr;  // (prompts, tokens), -1 to 3
  const float* mask_input = nullptr;     // (prompts, 4 grid, 4 grid), or null
  const std::int32_t* mask_index = nullptr;
  std::int64_t masks = 0;
};

struct DecoderOutput {
  std::int64_t rows = 0, columns = 0;  // of image tokens: the top left part that is up-scaled
  float* logits = nullptr;             // (prompts, masks, 4 rows, 4 columns)
  float* quality = nullptr;            // (prompts, masks)
};

/// Image tokens that go through all steps of a layer together: with 256 channels of bf16, two operands of 128 KiB
/// beside 64 KiB each of scores, weights and sums stay in a core's second-level cache of 1 MiB. Also the unit of sums
/// over the image, so that they do not depend on the number of threads.
constexpr std::int64_t kPiece = 256;

/// How many of them an image has.
inline std::int64_t pieces_of(const SamDecoder& decoder) { return (decoder.image_tokens() + kPiece - 1) / kPiece; }

/// What is kept per prompt between the passes.
struct PromptState {
  Rows image;                                   // (grid^2, dim), as the last pass left it
  kernels::PackedMatrix queries, keys, values;  // of the tokens: (dim, columns) twice, (columns, dim)
  // Of the first layer, where the image is shared: kernels::HeadScoresParams::tokens, of the decoder's format.
  Rows head_queries, head_keys;
  float* key_bias = nullptr;                                    // (columns)
  float *mixed = nullptr, *largest = nullptr, *sums = nullptr;  // per piece: kernels::MergeParams
  float* kernels = nullptr;                                     // (masks, kBlock)
};

/// Prompts whose tokens a thread computes together. Rows are tokens, prompt after prompt.
struct TokenGroup {
  std::int64_t first = 0, prompts = 0;                            // of the batch
  float *tokens = nullptr, *positions = nullptr, *sum = nullptr;  // (rows, dim) each; sum: scratch
  Rows operand, thoughts;                     // (rows, dim), (rows, hidden) of the decoder's format: scratch
  float *qkv = nullptr, *attended = nullptr;  // (rows, 3 dim), (rows, dim)
  float *hidden = nullptr, *inner = nullptr;  // (rows, hidden), (rows, kernels::kHeadsWidth)
  float* columns = nullptr;                   // (columns, dim)
  Rows folded;                                // (columns, dim) of the decoder's format
  void* attention = nullptr;
};

/// Memory of one run at a time, kept from run to run.
class DecoderWorkspace {
 public:
  /// projected: for prompts without mask inputs, which share the image's projections.
  DecoderWorkspace(const SamDecoder& decoder, std::size_t threads, bool projected);

  /// Makes room for a batch. It allocates nothing where the last one had as many tokens and was as large.
  void reserve(std::int64_t prompts, std::int64_t tokens, std::int64_t masks);

  // What is made of an image before the first prompt, for all prompts. Without mask inputs, also its projections.
  Rows image;                  // (grid^2, dim)
  Rows keys, values, queries;  // (grid^2, kernels::kHeadsWidth); values as kernels::MixHeadsParams has them
  std::vector<PromptState> prompts;
  std::vector<TokenGroup> groups;
  const float* self_bias = nullptr;  // kernels::AttentionParams::bias for all tokens of a prompt, of equal rows
  float* no_bias = nullptr;          // (columns), zeros
  [[nodiscard]] std::byte* scratch(std::size_t slot) const { return scratch_.data() + slot * scratch_bytes_; }

 private:
  void lay_out_groups(std::int64_t prompts, std::int64_t tokens);
  void make_self_bias(std::int64_t tokens);

  const SamDecoder& decoder_;
  std::size_t threads_, scratch_bytes_ = 0;
  Block shared_, states_, groups_, bias_, scratch_;
  std::int64_t prompts_ = 0, tokens_ = 0, masks_ = 0;
};

/// What all passes of a run see.
struct Decoding {
  const SamDecoder& decoder;
  const Machine& machine;
  DecoderWorkspace& workspace;
  const DecoderInput& input;
  std::int64_t first = 0, prompts = 0;  // of the input's: the batch
  std::int64_t tokens = 0;              // per prompt, the decoder's own first
  std::int64_t columns = 0;             // kernels::score_columns(tokens)

  /// Whether the image is still the same for all prompts in the first layer.
  [[nodiscard]] bool shared() const { return input.mask_input == nullptr; }
  [[nodiscard]] const EncoderTarget& kernels() const { return *machine.target; }
  [[nodiscard]] std::int64_t pieces() const { return pieces_of(decoder); }

  /// Calls body(i, a Carver over a thread's scratch memory) for every i below `count`, on all threads.
  template <class Body>
  void for_each(std::int64_t count, const Body& body) const {
    machine.threads->run(size(count), [this, &body](std::size_t i, std::size_t slot) {
      Carver carver(workspace.scratch(slot));
      body(static_cast<std::int64_t>(i), carver);
    });
  }
};

// The passes.

/// The embedding as rows, and without mask inputs their projections.
void prepare_image(const Decoding& run);
/// Mask inputs, added to the image of each prompt.
void add_masks(const Decoding& run);
/// A group's tokens before the first layer, and what they ask the image.
void begin_tokens(const Decoding& run, const TokenGroup& group);
/// What the image answered in layer `layer`.
void hear_image(const Decoding& run, const TokenGroup& group, std::int64_t layer);
/// A slice of that layer's perceptron, of all groups: the first of its two layers, then the second.
void think(const Decoding& run, std::int64_t layer, std::int64_t slice);
void think_again(const Decoding& run, std::int64_t layer, std::int64_t slice);
/// The rest of the layer: what the image is told, and what the tokens ask it next.
void advance_tokens(const Decoding& run, const TokenGroup& group, std::int64_t layer);
/// The image's last answer: the masks' kernels and their predicted quality, (prompts, masks).
void finish_tokens(const Decoding& run, const TokenGroup& group, float* quality);
/// One piece of the image of one prompt: the answer to the tokens of layer `layer`, kLayers for the last attention,
/// after what they told the image in the layer before.
void pass_image(const Decoding& run, std::int64_t prompt, std::int64_t piece, std::int64_t layer, Carver& carver);
/// Logits of one row of image tokens, as far as they are wanted.
void upscale_row(const Decoding& run, std::int64_t prompt, std::int64_t row, const DecoderOutput& output,
                 Carver& carver);

/// Scratch memory that the two passes over the image need, bytes per thread.
std::size_t image_scratch(const SamDecoder& decoder, std::int64_t columns);

/// Prompts of a batch, at most. Of many tokens or of a large grid there are fewer, so that the sums over the image
/// (PromptState::mixed) stay within kBatchBytes: of a grid of 64 with 256 channels, a column of scores has 16 KiB of
/// them. One prompt is always taken; of 1024 points, the most that one may have, it has 129 MiB there.
constexpr std::int64_t kBatch = 8, kBatchColumns = 4096, kBatchBytes = std::int64_t{64} << 20;
/// How many prompts of so many columns of scores a batch has.
std::int64_t batch_of(const SamDecoder& decoder, std::int64_t prompts, std::int64_t columns);

/// Decodes all prompts, batch after batch. `prepared`: the workspace has this embedding's image already. It throws
/// std::bad_alloc alone.
void run_decoder(const SamDecoder& decoder, const Machine& machine, const DecoderInput& input,
                 DecoderWorkspace& workspace, bool prepared, const DecoderOutput& output);

}  // namespace medsam::backends::native
