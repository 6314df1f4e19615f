// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What a bundle's graphs take for a prompt: the manifest's `prompt` (docs/bundle.md).
#pragma once

#include <cstdint>
#include <string>

#include "medsam/prompt.hpp"

namespace medsam {

/// What `decoder_mask` takes.
enum class MaskInput { none, logits, scribble };

/// What becomes of a prompt that is nothing but a box.
enum class FromBox { corners, points_and_scribble };

/// How the prompt encoder is to be asked.
struct PromptEncoding {
  double frame = 0;          // side of the square of point_coords, pixels
  double point_shift = 0.5;  // what the graph adds to a coordinate
  bool points = true;        // false: every prompt is a box
  MaskInput mask_input = MaskInput::none;
  FromBox from_box = FromBox::corners;
};

/// Whether `kinds` has every kind of `wanted`.
constexpr bool has(PromptKinds kinds, PromptKinds wanted) { return (kinds & wanted) == wanted; }

/// Whether the graphs take a prompt of these kinds.
bool accepts(const PromptEncoding& encoding, PromptKinds kinds);

/// What a prompt is made of: a point of label -1 is none, and what is given as mask_input to a model that takes
/// scribbles is one.
PromptKinds kinds_of(const Prompt& prompt, const PromptEncoding& encoding);

/// Unsupported where the graphs do not take a prompt of these kinds, InvalidArgument where there are none; `name`
/// begins the message.
void check_accepted(PromptKinds kinds, const PromptEncoding& encoding, const std::string& name);

}  // namespace medsam
