// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What SAM's mask decoder is made of beside products (Kirillov et al., arXiv 2304.02643, appendix A): attention between
// thousands of image tokens and a few prompt tokens. The projections of the image are multiplied into the few tokens,
// so that the image tokens, of all `channels`, are the operands themselves (docs/performance.md, "The decoder's work").
//
// A prompt's tokens meet the image tokens in columns: column t * kHeads + h is token t in head h. There are
// score_columns(tokens) of them; those past the last token's are padding. "T" is Bf16 or float, one for all operands of
// a call. The same rules as in encoder_kernels.hpp: noexcept, no allocation, no checks.
#pragma once

#include <cstdint>

#include "kernels/encoder/rows.hpp"

namespace medsam::kernels {

/// Heads of the attentions between tokens and image, the channels of one, and those of all.
constexpr std::int64_t kHeads = 8, kHeadChannels = 16, kHeadsWidth = kHeads * kHeadChannels;

constexpr std::int64_t score_columns(std::int64_t tokens) noexcept { return whole_blocks(tokens * kHeads); }

/// Row t * kHeads + h of `out` = sum over i of heads[t][16 h + i] * matrix[16 h + i] [+ bias]; padding rows are zeros.
struct FoldHeadsParams {
  const float* heads = nullptr;   // (tokens, kHeadsWidth)
  const float* matrix = nullptr;  // (kHeads * kHeadChannels, channels)
  const float* bias = nullptr;    // (channels), or null
  std::int64_t tokens = 0;
  Rows out;  // (score_columns(tokens), channels), of either format
};

/// The other way round: out[t][16 h + i] = sum over c of columns[t * kHeads + h][c] * matrix[c][16 h + i] + bias[16 h +
/// i].
struct UnfoldHeadsParams {
  const float* columns = nullptr;  // (score_columns(tokens), channels)
  const float* matrix = nullptr;   // (channels, kHeadsWidth)
  const float* bias = nullptr;     // (kHeadsWidth)
  std::int64_t tokens = 0, channels = 0;
  float* out = nullptr;  // (tokens, kHeadsWidth)
};

/// Softmax of each row of scores over the tokens of each head, as the left operand of a product. A padding column's
/// score is kNoScore.
struct SoftenHeadsParams {
  const float* scores = nullptr;  // (rows, columns), dense
  std::int64_t rows = 0, columns = 0;
  Rows out;  // (rows, columns), dense
};
constexpr float kNoScore = -1e30F;  // finite, so that differences are numbers; its weight multiplies zeros

/// The first half of a softmax of each column of scores over some rows of the image: exp(score - the column's largest
/// of these rows). Pieces are put together by merge.
struct SoftenColumnsParams {
  const float* scores = nullptr;       // (rows, columns), dense
  std::int64_t rows = 0, columns = 0;  // rows even
  Format format = Format::f32;
  void* weights = nullptr;   // of `format`, as mix reads them (columns as channels)
  float* largest = nullptr;  // (columns)
  float* sums = nullptr;     // (columns), before rounding
};

/// out (columns, channels) = weights^T values. Of f32 both are dense rows; of bf16 two rows lie interleaved, element by
/// element, so that a product of pairs is one step.
struct MixParams {
  Format format = Format::f32;
  const void* weights = nullptr;  // (rows, columns)
  const void* values = nullptr;   // (rows, channels)
  std::int64_t rows = 0, columns = 0, channels = 0;
  float* out = nullptr;
};

/// Scores where the image has been projected to heads, which is worth it for an image that all prompts share:
/// scores[r][t * kHeads + h] = bias + sum over i of image[r][16 h + i] * tokens[t][16 h + i]. A row of the image has
/// its steps one after the other, i (of bf16: i and i + 1 as a pair), each with all heads; so have the tokens, with all
/// columns: head_step() says where an element lies.
struct HeadScoresParams {
  ConstRows image;               // (rows, kHeadsWidth), dense
  const void* tokens = nullptr;  // (kHeadChannels, columns), of the image's format
  const float* bias = nullptr;   // (columns)
  std::int64_t rows = 0, columns = 0;
  float* scores = nullptr;  // (rows, columns)
};
/// Where channel i of column (or head) c of `count` lies among HeadScoresParams' numbers.
constexpr std::int64_t head_step(Format format, std::int64_t count, std::int64_t c, std::int64_t i) noexcept {
  return format == Format::bf16 ? (i / 2 * count + c) * 2 + i % 2 : i * count + c;
}

/// out[t * kHeads + h][i] = sum over rows of weights[r][t * kHeads + h] values[r][16 h + i]; both as mix has them.
struct MixHeadsParams {
  Format format = Format::f32;
  const void* weights = nullptr;  // (rows, columns)
  const void* values = nullptr;   // (rows, kHeadsWidth)
  std::int64_t rows = 0, columns = 0;
  float* out = nullptr;  // (columns, kHeadChannels)
};

/// The mix of all pieces of the image: sum over p of e^(largest[p] - m) mixed[p], divided by that of the sums, m the
/// largest of all.
struct MergeParams {
  const float* mixed = nullptr;    // (pieces, columns, channels)
  const float* largest = nullptr;  // (pieces, columns)
  const float* sums = nullptr;     // (pieces, columns)
  std::int64_t pieces = 0, columns = 0, channels = 0;
  float* out = nullptr;  // (columns, channels)
};

/// What attention reads of image tokens: keys = image + positions, and values, the image as mix reads it (null: not
/// wanted; of f32 the image itself is).
struct ImageOperandsParams {
  ConstRows image, positions;  // (rows, channels), dense, of one format
  std::int64_t rows = 0;       // even
  Rows keys;                   // (rows, channels), dense, of the same format
  Bf16* values = nullptr;
};

/// Logits of up-scaled image tokens: each token's 4x4 children, each in 2x2 groups of 2x2, times the masks' kernels.
struct MaskLogitsParams {
  const float* children = nullptr;  // (tokens, 2 x 2, 2 x 2, kBlock)
  std::int64_t tokens = 0;          // neighbors in one row of the image
  const float* kernels = nullptr;   // (masks, kBlock)
  std::int64_t masks = 0;
  float* out = nullptr;  // the first token's top left logit of the first mask
  std::int64_t row_stride = 0, mask_stride = 0;
};

}  // namespace medsam::kernels
