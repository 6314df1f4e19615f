// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Prompts' tokens to low-resolution logits: which graph, what goes into its inputs, batches, finiteness.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/once_cache.hpp"
#include "bundle/bundle.hpp"
#include "embedding/embedding_data.hpp"
#include "model/request_pool.hpp"
#include "prompt/prompt_tokens.hpp"

namespace medsam {

/// Thread-safe.
class Decoder {
 public:
  using Compile = std::function<std::shared_ptr<const backends::CompiledModel>(const ModelFile& model)>;
  /// What is wanted of every prompt.
  struct Wanted {
    std::vector<std::int32_t> mask_index;  // (M)
    /// What will be looked at of each map of logits; nothing: whole maps.
    std::optional<backends::MapPart> part = std::nullopt;
  };
  /// The answer to one prompt: row `row` of logits, wherever the backend keeps them, and iou (M), which is valid during
  /// the call. The logits are (N, M, h, w), or smaller where Wanted::part is.
  struct Answer {
    const backends::TensorPtr& logits;
    std::int64_t row;
    const float* iou;
  };
  using Sink = std::function<void(std::size_t n, const Answer& answer)>;

  /// `models` must outlive the decoder. `compile` makes the graph that boxes need now, the others when first needed.
  Decoder(const ModelSet& models, FromBox from_box, Compile compile);
  ~Decoder();

  [[nodiscard]] std::int64_t low_height() const { return low_height_; }
  [[nodiscard]] std::int64_t low_width() const { return low_width_; }

  /// Decodes all prompts of one image, which must be this model's. Prompts with equally many tokens, all with a mask
  /// or all without, share a batch; `sink` is called once a prompt, in an order of the decoder's choosing, but in order
  /// among such prompts.
  void decode(const detail::EmbeddingData& image, const std::vector<PromptTokens>& prompts, const Wanted& wanted,
              const std::function<bool()>& cancelled, const Sink& sink);

 private:
  struct Graph;
  struct Call;

  /// The graph of a role, compiled at its first use; others can be used meanwhile.
  std::shared_ptr<Graph> graph(const std::string& role);
  void run_batch(Graph& graph, const Call& call, const std::vector<std::size_t>& batch, const Sink& sink);
  void check_shapes(const std::vector<backends::TensorPtr>& outputs, std::int64_t prompts, const Wanted& wanted) const;
  std::vector<float> crop_features(const detail::EmbeddingData& image, const std::vector<PromptTokens>& prompts,
                                   const std::function<bool()>& cancelled);

  const ModelSet& models_;
  Compile compile_;
  std::int64_t low_height_, low_width_;
  OnceCache<std::string, std::shared_ptr<Graph>> graphs_{OnceCache<std::string, std::shared_ptr<Graph>>::kUnlimited};
};

}  // namespace medsam
