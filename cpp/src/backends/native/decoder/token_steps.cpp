// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What happens to the tokens of a group of prompts between two passes over the image.
#include <algorithm>
#include <cstring>

#include "backends/native/decoder/decoding.hpp"
#include "kernels/encoder/block_layout.hpp"

namespace medsam::backends::native {

using kernels::kHeadsWidth;

namespace {

/// A group and the run that it is part of.
class TokenSteps {
 public:
  TokenSteps(const Decoding& run, const TokenGroup& group)
      : run_(run), kernels_(run.kernels()), group_(group), dim_(run.decoder.dim), rows_(group.prompts * run.tokens) {}

  /// The decoder's own tokens, then the prompt's.
  void embed() const {
    const SamDecoder& decoder = run_.decoder;
    const std::int64_t own = 1 + decoder.masks();
    for (std::int64_t i = 0; i < group_.prompts; ++i) {
      float* to = group_.tokens + i * run_.tokens * dim_;
      to = std::copy(decoder.own_tokens.begin(), decoder.own_tokens.end(), to);
      const std::int64_t at = (run_.first + group_.first + i) * run_.input.tokens;
      for (std::int64_t t = 0; t < run_.tokens - own; ++t, to += dim_) {
        embed_point(run_.input.coords + 2 * (at + t), run_.input.labels[at + t], to);
      }
    }
    std::copy_n(group_.tokens, rows_ * dim_, group_.positions);
  }

  void attend_to_themselves(const SelfAttention& layers, const Norm& norm, bool first) const {
    // The first layer's tokens still equal their positions: none are added and there is no residual.
    const float* asked = first ? group_.tokens : with_positions();
    project(layers.query, asked, part_of_qkv(0));
    project(layers.key, asked, part_of_qkv(1));
    project(layers.value, group_.tokens, part_of_qkv(2));
    for (std::int64_t i = 0; i < group_.prompts; ++i) {
      kernels::AttentionParams params;
      params.qkv = ConstRows(group_.qkv + i * run_.tokens * 3 * dim_, 3 * dim_);
      params.tokens = run_.tokens;
      params.heads = kernels::kHeads;
      params.bias = run_.workspace.self_bias;
      params.key_stride = kernels::whole_blocks(run_.tokens);
      params.out = Rows(group_.attended + i * run_.tokens * dim_, dim_);
      params.scratch = group_.attention;
      kernels_.attention(params);
    }
    add_to_tokens(layers.out, group_.attended, norm, first ? ConstRows() : ConstRows(group_.tokens, dim_));
  }

  /// projected: the image's keys are there (ImageProjections).
  void ask_image(const ToImage& layers, bool projected) const {
    project(layers.query, with_positions(), {group_.inner, kHeadsWidth});
    for_prompts([&](std::int64_t i, PromptState& state) {
      if (projected) return order_by_steps(inner_of(i), state.head_queries);
      kernels_.fold_heads({inner_of(i), layers.key.data(), nullptr, run_.tokens, group_.folded});
      kernels::pack_columns(group_.folded, state.queries);
    });
  }

  void hear_image(const ToImage& layers, const Norm& norm, bool projected) const {
    for_prompts([&](std::int64_t i, const PromptState& state) {
      const std::int64_t channels = projected ? kernels::kHeadChannels : dim_;
      kernels_.merge({state.mixed, state.largest, state.sums, run_.pieces(), run_.columns, channels, group_.columns});
      if (projected) return add_bias(layers.value_bias, group_.columns, inner_of(i));
      kernels_.unfold_heads(
          {group_.columns, layers.value.data(), layers.value_bias.data(), run_.tokens, dim_, inner_of(i)});
    });
    add_to_tokens(layers.out, group_.inner, norm, ConstRows(group_.tokens, dim_));
  }

  /// A slice of the hidden layer, as the operand of the next.
  void think(const SlicedPerceptron& layers, std::int64_t slice) const {
    const Linear& layer = layers.fc1[size(slice)];
    const std::int64_t hidden = run_.decoder.hidden, first = slice * layer.out;
    multiply(kernels_, layer, rounded_tokens(), rows_, Rows(group_.hidden + first, layer.out, hidden));
    for (std::int64_t row = 0; row < rows_; ++row) {
      float* values = group_.hidden + row * hidden + first;
      kernels_.relu(values, layer.out);
      if (layer.matrix.format() == Format::bf16) {
        kernels_.round(values, group_.thoughts.at<Bf16>(row, first), layer.out);
      }
    }
  }

  /// A slice of the tokens: it reads the whole hidden layer.
  void think_again(const SlicedPerceptron& layers, std::int64_t slice) const {
    const Linear& layer = layers.fc2[size(slice)];
    const Rows tokens(group_.tokens + slice * layer.out, layer.out, dim_);
    Epilogue then;
    then.residual = tokens;
    const bool rounded = layer.matrix.format() == Format::bf16;
    multiply(kernels_, layer, rounded ? ConstRows(group_.thoughts) : ConstRows(group_.hidden, layer.in), rows_, tokens,
             then);
  }

  void normalize_tokens(const Norm& norm) const {
    normalize(kernels_, norm, group_.tokens, rows_, Rows(group_.tokens, dim_));
  }

  /// The tokens as think's operand.
  void round_tokens() const {
    if (group_.operand.format() == Format::bf16) {
      kernels_.round(group_.tokens, group_.operand.at<Bf16>(0), rows_ * dim_);
    }
  }

  void tell_image(const ToTokens& layers, bool projected) const {
    project(layers.key, with_positions(), {group_.inner, kHeadsWidth});
    for_prompts([&](std::int64_t i, PromptState& state) {
      bias_keys(layers.query_bias, inner_of(i), projected, state.key_bias);
      if (projected) return order_by_steps(inner_of(i), state.head_keys);
      kernels_.fold_heads({inner_of(i), layers.query.data(), nullptr, run_.tokens, group_.folded});
      kernels::pack_columns(group_.folded, state.keys);
    });
    project(layers.value, group_.tokens, {group_.inner, kHeadsWidth});
    for_prompts([&](std::int64_t i, PromptState& state) {
      kernels_.fold_heads({inner_of(i), layers.out.data(), layers.out_bias.data(), run_.tokens, group_.folded});
      kernels::pack_rows(group_.folded, state.values);
    });
  }

  /// The masks' kernels and quality (prompts, masks), the group's first.
  void predict(float* quality) const {
    const DecoderInput& input = run_.input;
    const float* rates = perceive(run_.decoder.quality, 0);
    for (std::int64_t i = 0; i < group_.prompts; ++i) {
      for (std::int64_t m = 0; m < input.masks; ++m) {
        quality[(group_.first + i) * input.masks + m] = rates[i * kBlock + input.mask_index[m]];
      }
    }
    for (std::int64_t m = 0; m < input.masks; ++m) {
      const std::int64_t mask = input.mask_index[m];
      const float* kernel = perceive(run_.decoder.hyper[size(mask)], 1 + mask);
      for_prompts([&](std::int64_t i, const PromptState& state) {
        std::copy_n(kernel + i * kBlock, kBlock, state.kernels + m * kBlock);
      });
    }
  }

 private:
  template <class Body>
  void for_prompts(const Body& body) const {
    for (std::int64_t i = 0; i < group_.prompts; ++i) body(i, run_.workspace.prompts[size(group_.first + i)]);
  }

  void embed_point(const float* xy, std::int32_t label, float* to) const {
    const PromptLayers& prompt = run_.decoder.prompt;
    const float* learned = prompt.points.data() + (label + 1) * dim_;
    if (label < 0) {
      std::copy_n(learned, dim_, to);
      return;
    }
    const auto frame = static_cast<float>(prompt.frame);
    encode_position(prompt.gaussian, (xy[0] + prompt.shift) / frame, (xy[1] + prompt.shift) / frame, to);
    for (std::int64_t c = 0; c < dim_; ++c) to[c] += learned[c];
  }

  [[nodiscard]] const float* with_positions() const {
    std::copy_n(group_.tokens, rows_ * dim_, group_.sum);
    kernels_.add(group_.positions, group_.sum, rows_ * dim_);
    return group_.sum;
  }

  [[nodiscard]] ConstRows rounded_tokens() const {
    return group_.operand.format() == Format::bf16 ? ConstRows(group_.operand) : ConstRows(group_.tokens, dim_);
  }

  [[nodiscard]] Rows part_of_qkv(std::int64_t part) const { return {group_.qkv + part * dim_, dim_, 3 * dim_}; }
  [[nodiscard]] float* inner_of(std::int64_t prompt) const { return group_.inner + prompt * run_.tokens * kHeadsWidth; }

  /// `in` (rows, layer.in), dense, through a layer.
  void project(const Linear& layer, const float* in, const Rows& out, const Epilogue& then = {}) const {
    ConstRows operand(in, layer.in);
    if (layer.matrix.format() == Format::bf16) {
      const Rows rounded(group_.operand.at<Bf16>(0), layer.in);
      kernels_.round(in, rounded.at<Bf16>(0), rows_ * layer.in);
      operand = rounded;
    }
    multiply(kernels_, layer, operand, rows_, out, then);
  }

  void add_to_tokens(const Linear& layer, const float* in, const Norm& norm, const ConstRows& residual) const {
    const Rows tokens(group_.tokens, dim_);
    Epilogue then;
    then.residual = residual;
    project(layer, in, tokens, then);
    normalize_tokens(norm);
  }

  /// The part of the scores that is the bias of the image's projection: none where the projection has it already.
  void bias_keys(const Table& query_bias, const float* keys, bool projected, float* bias) const {
    std::fill_n(bias, run_.columns, kernels::kNoScore);
    for (std::int64_t column = 0; column < run_.tokens * kernels::kHeads; ++column) {
      const float* key = keys + column * kernels::kHeadChannels;
      const float* query = query_bias.data() + column % kernels::kHeads * kernels::kHeadChannels;
      float sum = 0;
      for (std::int64_t i = 0; !projected && i < kernels::kHeadChannels; ++i) sum += key[i] * query[i];
      bias[column] = sum;
    }
  }

  /// (tokens, kHeadsWidth) as kernels::HeadScoresParams::tokens; padding columns are zeros.
  void order_by_steps(const float* heads, const Rows& out) const {
    for (std::int64_t column = 0; column < run_.columns; ++column) {
      const bool padding = column >= run_.tokens * kernels::kHeads;
      for (std::int64_t i = 0; i < kernels::kHeadChannels; ++i) {
        const float value = padding ? 0.F : heads[column * kernels::kHeadChannels + i];
        const std::int64_t at = kernels::head_step(out.format(), run_.columns, column, i);
        if (out.format() == Format::bf16) {
          out.at<Bf16>(0)[at] = kernels::rounded(value);
        } else {
          out.at<float>(0)[at] = value;
        }
      }
    }
  }

  void add_bias(const Table& bias, const float* in, float* out) const {
    for (std::int64_t i = 0; i < run_.tokens * kHeadsWidth; ++i) out[i] = in[i] + bias[size(i % kHeadsWidth)];
  }

  /// One token of each prompt through a perceptron: (prompts, kBlock), valid until the next call.
  [[nodiscard]] const float* perceive(const Perceptron3& layers, std::int64_t token) const {
    const std::int64_t prompts = group_.prompts;
    for (std::int64_t i = 0; i < prompts; ++i) {
      std::copy_n(group_.tokens + (i * run_.tokens + token) * dim_, dim_, group_.attended + i * dim_);
    }
    multiply(kernels_, layers[0], ConstRows(group_.attended, dim_), prompts, {group_.hidden, dim_});
    kernels_.relu(group_.hidden, prompts * dim_);
    multiply(kernels_, layers[1], ConstRows(group_.hidden, dim_), prompts, {group_.attended, dim_});
    kernels_.relu(group_.attended, prompts * dim_);
    multiply(kernels_, layers[2], ConstRows(group_.attended, dim_), prompts, {group_.hidden, kBlock});
    return group_.hidden;
  }

  const Decoding& run_;
  const EncoderTarget& kernels_;
  const TokenGroup& group_;
  std::int64_t dim_, rows_;
};

}  // namespace

void begin_tokens(const Decoding& run, const TokenGroup& group) {
  const TokenSteps steps(run, group);
  const TwoWayLayer& layer = run.decoder.layers[0];
  steps.embed();
  steps.attend_to_themselves(layer.self, layer.norms[0], true);
  steps.ask_image(layer.to_image, run.shared());
}

void hear_image(const Decoding& run, const TokenGroup& group, std::int64_t index) {
  const TokenSteps steps(run, group);
  const TwoWayLayer& layer = run.decoder.layers[size(index)];
  steps.hear_image(layer.to_image, layer.norms[1], index == 0 && run.shared());
  steps.round_tokens();
}

void think(const Decoding& run, std::int64_t layer, std::int64_t slice) {
  for (const TokenGroup& group : run.workspace.groups) {
    TokenSteps(run, group).think(run.decoder.layers[size(layer)].perceptron, slice);
  }
}

void think_again(const Decoding& run, std::int64_t layer, std::int64_t slice) {
  for (const TokenGroup& group : run.workspace.groups) {
    TokenSteps(run, group).think_again(run.decoder.layers[size(layer)].perceptron, slice);
  }
}

void advance_tokens(const Decoding& run, const TokenGroup& group, std::int64_t index) {
  const TokenSteps steps(run, group);
  const TwoWayLayer& layer = run.decoder.layers[size(index)];
  steps.normalize_tokens(layer.norms[2]);
  steps.tell_image(layer.to_tokens, index == 0 && run.shared());
  if (index + 1 == SamDecoder::kLayers) return steps.ask_image(run.decoder.last, false);
  const TwoWayLayer& next = run.decoder.layers[size(index + 1)];
  steps.attend_to_themselves(next.self, next.norms[0], false);
  steps.ask_image(next.to_image, false);
}

void finish_tokens(const Decoding& run, const TokenGroup& group, float* quality) {
  const TokenSteps steps(run, group);
  steps.hear_image(run.decoder.last, run.decoder.last_norm, false);
  steps.predict(quality);
}

}  // namespace medsam::backends::native
