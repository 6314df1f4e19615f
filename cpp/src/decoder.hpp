// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Prompts to low-resolution logits: tokens by SAM's rules, batches, finiteness.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "embedding_data.hpp"
#include "medsam/prompt.hpp"
#include "profile.hpp"
#include "request_pool.hpp"

namespace medsam {

/// The decoder's input for one prompt: T tokens in the prompt frame.
struct PromptTokens {
  std::vector<float> coords;         // (T, 2)
  std::vector<std::int32_t> labels;  // (T)
  const float* mask_input = nullptr;
};

/// Checks a prompt and turns it into tokens: points (those of label -1 dropped), then a box's corners (2, 3), or one
/// "not a point" (-1) when there is no box, as segment_anything/modeling/prompt_encoder.py _embed_points does.
PromptTokens prompt_tokens(const Prompt& prompt, const ImageGeometry& geometry, const PromptRules& rules,
                           std::int64_t index);

/// The tokens of a box that is in the prompt frame already: x0, y0, x1, y1.
PromptTokens box_tokens(const float corners[4]);

/// Thread-safe.
class Decoder {
 public:
  using Compile = std::function<std::shared_ptr<const backends::CompiledModel>(const char* role)>;
  /// Receives the answer to prompt n: logits (M, h, w) and iou (M), valid during the call.
  using Sink = std::function<void(std::size_t n, const float* logits, const float* iou)>;

  /// `compile` makes the models: "decoder" now, "decoder_mask" when a mask is first given.
  Decoder(const ModelFile& model, Compile compile);

  [[nodiscard]] std::int64_t low_height() const { return low_height_; }
  [[nodiscard]] std::int64_t low_width() const { return low_width_; }

  /// Decodes all prompts of one image. Prompts with equally many tokens share a batch; `sink` is called once a prompt,
  /// in an order of the decoder's choosing, but in order among prompts of equally many tokens.
  void decode(const backends::TensorPtr& embedding, const std::vector<PromptTokens>& prompts,
              const std::vector<std::int32_t>& mask_index, const std::function<bool()>& cancelled, const Sink& sink);

 private:
  void run_batch(RequestPool& pool, const backends::TensorPtr& embedding, const std::vector<PromptTokens>& prompts,
                 const std::vector<std::size_t>& batch, const std::vector<std::int32_t>& mask_index, const Sink& sink);
  RequestPool& mask_pool();

  Compile compile_;
  std::int64_t low_height_, low_width_;
  RequestPool pool_;
  std::mutex mutex_;
  std::unique_ptr<RequestPool> mask_pool_;  // guarded by mutex_ until set
};

}  // namespace medsam
