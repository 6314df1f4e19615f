// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Prompts to the decoder's inputs: tokens by SAM's rules, scribbles, the box to crop.
#pragma once

#include <cstdint>
#include <vector>

#include "bundle/bundle.hpp"
#include "bundle/profile.hpp"
#include "image/geometry.hpp"
#include "medsam/prompt.hpp"

namespace medsam {

/// The decoder's inputs for one prompt: T tokens in the prompt frame, and what else its graph may ask for.
struct PromptTokens {
  std::vector<float> coords;          // (T, 2)
  std::vector<std::int32_t> labels;   // (T)
  const float* mask_input = nullptr;  // borrowed from the caller
  std::vector<float> drawn;           // a mask_input made here; empty = none
  PixelBox crop_box;                  // image pixels inside the prompt's box

  [[nodiscard]] const float* mask() const { return drawn.empty() ? mask_input : drawn.data(); }
};

/// What all prompts about one image have in common.
struct PromptContext {
  const ImageGeometry& geometry;
  const PromptRules& rules;
  const PromptEncoding& encoding;
  const float* foreground = nullptr;             // (S, S), for FromBox::points_and_scribble
  std::int64_t mask_height = 0, mask_width = 0;  // of mask_input
};

/// The most points of a prompt. A decoder's memory grows with the square of the tokens: at this limit, the native one
/// takes about 250 MiB on two threads. Nobody clicks as often, and scripts that sample a mask take tens of points.
inline constexpr std::size_t kMostPromptPoints = 1024;

/// Checks a prompt and turns it into tokens: points (those of label -1 dropped), then a box's corners (2, 3), or one
/// "not a point" (-1) when there is no box, as segment_anything/modeling/prompt_encoder.py _embed_points does. A box
/// alone gets what the bundle's `from_box` adds. InvalidArgument, Unsupported, naming prompt `index`.
PromptTokens prompt_tokens(const Prompt& prompt, const PromptContext& context, std::int64_t index);

/// The tokens of a box that is in the prompt frame already, x0, y0, x1, y1; `crop_box` is the same box in image pixels.
PromptTokens box_tokens(const float corners[4], const PixelBox& crop_box, const PromptContext& context);

}  // namespace medsam
