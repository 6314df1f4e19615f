// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "support/sam_checkpoint.hpp"

#include <cmath>
#include <utility>

namespace medsam::testing {

namespace {

constexpr std::int64_t kDim = 256, kHidden = 2048;

/// Small and quick, and the same everywhere: a decoder has four million weights.
class Random {
 public:
  explicit Random(std::uint32_t seed) : state_(seed * 2654435761U + 1) {}
  /// Uniform in [-scale, scale).
  float uniform(float scale) {
    state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return scale * (static_cast<float>(state_ >> 40) / static_cast<float>(1U << 23) - 1.F);
  }
  std::int64_t below(std::int64_t n) {
    uniform(1);
    return static_cast<std::int64_t>((state_ >> 33) % static_cast<std::uint64_t>(n));
  }
  std::vector<float> values(std::int64_t count, float scale, float around = 0) {
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float& value : values) value = around + uniform(scale);
    return values;
  }

 private:
  std::uint64_t state_;
};

class CheckpointMaker {
 public:
  CheckpointMaker(const SamSizes& sizes, std::uint32_t seed) : random_(seed) { checkpoint_.sizes = sizes; }

  SamCheckpoint make() {
    prompt_encoder();
    table("iou_token.weight", {1, kDim}, 1);
    table("mask_tokens.weight", {4, kDim}, 1);
    for (const char* name : {"transformer.layers.0", "transformer.layers.1"}) layer(name);
    attention("transformer.final_attn_token_to_image", 128);
    norm("transformer.norm_final_attn", kDim);
    table("output_upscaling.0.weight", {kDim, 64, 2, 2}, 0.1F);
    table("output_upscaling.0.bias", {64}, 0.2F);
    norm("output_upscaling.1", 64);
    table("output_upscaling.3.weight", {64, 32, 2, 2}, 0.2F);
    table("output_upscaling.3.bias", {32}, 0.2F);
    for (int i = 0; i < 4; ++i) perceptron("output_hypernetworks_mlps." + std::to_string(i), 32);
    perceptron("iou_prediction_head", 4);
    return std::move(checkpoint_);
  }

 private:
  void table(const std::string& name, std::vector<std::int64_t> shape, float scale, float around = 0) {
    std::int64_t count = 1;
    for (const std::int64_t side : shape) count *= side;
    checkpoint_.tensors[name] = {std::move(shape), random_.values(count, scale, around)};
  }
  /// `gain` 1: as large as what comes in.
  void linear(const std::string& name, std::int64_t in, std::int64_t out, float gain = 1) {
    table(name + ".weight", {out, in}, gain * std::sqrt(3.F / static_cast<float>(in)));
    table(name + ".bias", {out}, 0.3F);
  }
  void norm(const std::string& name, std::int64_t channels) {
    table(name + ".weight", {channels}, 0.3F, 1);
    table(name + ".bias", {channels}, 0.2F);
  }
  void attention(const std::string& name, std::int64_t inner) {
    linear(name + ".q_proj", kDim, inner, 1.5F);
    linear(name + ".k_proj", kDim, inner, 1.5F);
    linear(name + ".v_proj", kDim, inner);
    linear(name + ".out_proj", inner, kDim);
  }
  void perceptron(const std::string& name, std::int64_t out) {
    for (int i = 0; i < 3; ++i) linear(name + ".layers." + std::to_string(i), kDim, i < 2 ? kDim : out, 1.4F);
  }
  void layer(const std::string& name) {
    attention(name + ".self_attn", kDim);
    attention(name + ".cross_attn_token_to_image", 128);
    attention(name + ".cross_attn_image_to_token", 128);
    linear(name + ".mlp.lin1", kDim, kHidden);
    linear(name + ".mlp.lin2", kHidden, kDim);
    for (int i = 1; i < 5; ++i) norm(name + ".norm" + std::to_string(i), kDim);
  }
  void prompt_encoder() {
    table("pe_layer.positional_encoding_gaussian_matrix", {2, kDim / 2}, 1.7F);
    for (int i = 0; i < 4; ++i) table("point_embeddings." + std::to_string(i) + ".weight", {1, kDim}, 1);
    table("not_a_point_embed.weight", {1, kDim}, 1);
    table("no_mask_embed.weight", {1, kDim}, 1);
    if (!checkpoint_.sizes.masks) return;
    table("mask_downscaling.0.weight", {4, 1, 2, 2}, 1);
    table("mask_downscaling.0.bias", {4}, 0.3F);
    norm("mask_downscaling.1", 4);
    table("mask_downscaling.3.weight", {16, 4, 2, 2}, 0.5F);
    table("mask_downscaling.3.bias", {16}, 0.3F);
    norm("mask_downscaling.4", 16);
    table("mask_downscaling.6.weight", {kDim, 16, 1, 1}, 0.5F);
    table("mask_downscaling.6.bias", {kDim}, 0.3F);
  }

  Random random_;
  SamCheckpoint checkpoint_;
};

template <class T>
std::vector<T> part(const std::vector<T>& values, std::int64_t index, std::int64_t count) {
  const auto length = static_cast<std::ptrdiff_t>(static_cast<std::int64_t>(values.size()) / count);
  return {values.begin() + index * length, values.begin() + (index + 1) * length};
}

}  // namespace

SamCheckpoint random_sam_checkpoint(const SamSizes& sizes, std::uint32_t seed) {
  return CheckpointMaker(sizes, seed).make();
}

SamPrompts SamPrompts::only(std::int64_t i) const {
  return {1, tokens, part(coords, i, prompts), part(labels, i, prompts), part(mask_input, i, prompts), mask_index};
}

SamPrompts random_sam_prompts(const SamSizes& sizes, std::int64_t prompts, std::int64_t tokens,
                              std::vector<std::int32_t> mask_index, std::uint32_t seed) {
  Random random(seed + 1000);
  const auto half = static_cast<float>(sizes.frame) / 2;
  SamPrompts made{prompts, tokens, random.values(prompts * tokens * 2, half, half), {}, {}, std::move(mask_index)};
  // From the first token on: every label, -1 to 3.
  for (std::int64_t i = 0; i < prompts * tokens; ++i) {
    made.labels.push_back(static_cast<std::int32_t>(i < 5 ? (i + 2) % 5 - 1 : random.below(5) - 1));
  }
  if (sizes.masks) made.mask_input = random.values(prompts * 16 * sizes.grid * sizes.grid, 8);
  return made;
}

std::vector<float> random_sam_embedding(const SamSizes& sizes, std::uint32_t seed) {
  return Random(seed + 2000).values(kDim * sizes.grid * sizes.grid, 1);
}

}  // namespace medsam::testing
