// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What an image encoder of our own is made of: matrix products on bf16 or f32 operands with f32 sums, and what lies
// between them. Tokens are rows, channels contiguous (NHWC). Depends on nothing but the standard library.
//
// One rule for memory: every row of channels is a multiple of 32 elements, and a matrix may be read up to the next
// multiple of 32 rows. One rule for numbers: what becomes of a row, a pixel or a window does not depend on what else
// the same call computes, to the bit; padding.hpp of the native room and all loops over pieces rest on it. Kernels are
// noexcept, allocate nothing and check nothing: the model checks its sizes when it is loaded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "kernels/encoder/packed_matrix.hpp"
#include "kernels/encoder/rows.hpp"
#include "kernels/encoder/token_attention.hpp"

namespace medsam::kernels {

/// What becomes of a product's sums before they are stored: + bias, GELU, + residual, GELU, each where it is asked for.
/// GELU is as exact as the product's operands are (rounding-inl.h).
struct Epilogue {
  const float* bias = nullptr;  // (columns), or null
  bool gelu = false;            // of the sum with the bias; not together with a residual
  // Of either format, or none.
  ConstRows residual = {};  // NOLINT(readability-redundant-member-init): -Wmissing-field-initializers
  bool gelu_after = false;  // after the residual is added
  bool tanh_gelu = false;   // as `gelu`, by the tanh formula that some networks were trained with; not with the others
};

/// out = epilogue(a b).
struct ProductParams {
  ConstRows a;  // in the format of b
  std::int64_t rows = 0;
  const PackedMatrix* b = nullptr;
  Epilogue epilogue;
  Rows out;
};

/// A row of a depthwise convolution with zero padding, + bias, and GELU where it is asked for, as exact as `out` is.
struct DepthwiseParams {
  const float* rows[5] = {};  // the first `size` of them, (width, channels) each; null: outside the image
  std::int64_t width = 0, channels = 0;
  std::int64_t stride = 1;  // 1 or 2; the output has ceil(width / stride) pixels
  // The pixels that are computed, the first of which is row 0 of `out`: begin to end - 1, as far as there are any.
  std::int64_t begin = 0, end = std::numeric_limits<std::int64_t>::max();
  const float* weight = nullptr;  // (size * size, channels)
  const float* bias = nullptr;    // (channels), or null
  bool gelu = false;
  bool tanh_gelu = false;  // as `gelu`, by tanh (Epilogue)
  std::int64_t size = 3;   // of the kernel: 3, or 5 with a stride of 1 and without GELU
  Rows out;
};

/// Layer norm of each row: (x - mean) / sqrt(variance + eps) [* weight + bias], and GELU where it is asked for, as
/// exact as `out` is.
struct NormalizeRowsParams {
  const float* in = nullptr;  // (rows, channels), dense
  std::int64_t rows = 0, channels = 0;
  float eps = 0;
  const float* weight = nullptr;  // null: none, and no bias
  const float* bias = nullptr;
  bool gelu = false;
  Rows out;
};

/// Attention inside one window, heads of 32 channels. All of one format.
struct AttentionParams {
  ConstRows qkv;  // (tokens, 3 * heads * 32), dense: queries, scaled; keys; values
  std::int64_t tokens = 0, heads = 0;
  ConstRows padding;            // (2, heads * 32), dense: the key and the value that follow the tokens' own, or none
  const float* bias = nullptr;  // (heads, tokens, key_stride); columns past the last key hold -inf
  std::int64_t key_stride = 0;  // keys rounded up to kBlock
  Rows out;                     // (tokens, heads * 32), dense
  void* scratch = nullptr;      // attention_scratch(key_stride) bytes, 64-byte aligned
};
std::size_t attention_scratch(std::int64_t key_stride) noexcept;

/// Attention of one head of 32 channels whose kernel is ReLU (Cai et al., EfficientViT, arXiv 2205.14756), all in f32:
/// with q and k after ReLU, out = (sum of v k^T over the tokens) q / ((sum of k over the tokens) q + eps).
struct LinearAttentionParams {
  const float* qkv = nullptr;  // (tokens, 96), dense: a token's query, key and value
  std::int64_t tokens = 0;
  float eps = 0;
  Rows out;  // (tokens, 32)
};

/// The input of a 3x3 convolution with zero padding by Winograd's F(2x2, 3x3): of two rows of its output, width / 2
/// tiles of 2x2 pixels. Matrix e of the 16 has a tile's row at row e * step + tile of `out`.
struct WinogradInputParams {
  const float* rows[4] = {};  // from the row above the output's two to the one below, (width, channels) each; null:
                              // outside the image, which only the first and the last may be
  std::int64_t width = 0, channels = 0;  // width even
  std::int64_t step = 0;
  Rows out;
};

/// What the sums of those 16 products are: pixels, + bias, after GELU by tanh.
struct WinogradOutputParams {
  const float* sums = nullptr;  // (16, step, channels), dense, of which `tiles` are there
  std::int64_t tiles = 0, step = 0, channels = 0;
  const float* bias = nullptr;  // (channels), or null
  Rows out[2];                  // two rows of 2 * tiles pixels
};

/// out = [base +] the sum of weights[i] * from[i], of n floats each, a multiple of 16.
struct BlendParams {
  const float* from[4] = {};
  float weights[4] = {};
  const float* base = nullptr;  // or null; may be `out`
  std::int64_t n = 0;
  float* out = nullptr;
};

/// A target of the processor: what it is fast at, and one implementation of every kernel.
struct EncoderTarget {
  const char* name;    // to show: "AMX", "AVX512_BF16" or "BFDOT" where it has bf16, else as `target`
  const char* target;  // its name in kernels/base/target.hpp, or that of Highway's fallback without vectors, the oracle
  bool fast_bf16;      // multiplies bf16 and rounds to it by the processor's own instructions
  bool fast_f32;       // has fused multiply-adds; WebAssembly has none, and nothing faster
  void (*product)(const ProductParams&) noexcept;
  void (*depthwise)(const DepthwiseParams&) noexcept;
  void (*normalize_rows)(const NormalizeRowsParams&) noexcept;
  void (*attention)(const AttentionParams&) noexcept;
  /// n floats to bf16; n a multiple of 16.
  void (*round)(const float* in, Bf16* out, std::int64_t n) noexcept;
  /// to += from.
  void (*add)(const float* from, float* to, std::int64_t n) noexcept;
  /// out (n, channels) = GELU(bias + sum over planes of planes[p][i] * weight[p]), for a 1x1 convolution of an image.
  void (*expand_planes)(const float* const* planes, std::int64_t count, std::int64_t n, const float* weight,
                        const float* bias, std::int64_t channels, float* out) noexcept;
  /// max(0, values), in place.
  void (*relu)(float* values, std::int64_t n) noexcept;
  void (*fold_heads)(const FoldHeadsParams&) noexcept;
  void (*unfold_heads)(const UnfoldHeadsParams&) noexcept;
  void (*soften_heads)(const SoftenHeadsParams&) noexcept;
  void (*soften_columns)(const SoftenColumnsParams&) noexcept;
  void (*mix)(const MixParams&) noexcept;
  void (*head_scores)(const HeadScoresParams&) noexcept;
  void (*mix_heads)(const MixHeadsParams&) noexcept;
  /// Rows of bf16 as mix reads them, two interleaved; rows even.
  void (*pair_rows)(const Bf16* in, std::int64_t rows, std::int64_t channels, Bf16* out) noexcept;
  void (*merge)(const MergeParams&) noexcept;
  void (*image_operands)(const ImageOperandsParams&) noexcept;
  /// normalize_rows, and the operands of what it stores: `operands.image` is not looked at. rows even.
  void (*normalize_image)(const NormalizeRowsParams&, const ImageOperandsParams& operands) noexcept;
  void (*mask_logits)(const MaskLogitsParams&) noexcept;
  void (*linear_attention)(const LinearAttentionParams&) noexcept;
  void (*blend)(const BlendParams&) noexcept;
  void (*winograd_input)(const WinogradInputParams&) noexcept;
  void (*winograd_output)(const WinogradOutputParams&) noexcept;
};

/// All targets of this processor, the oracle first and the best last. Each of Highway's targets is there once with
/// rounding in arithmetic and the oracle's product of bf16, and again with bf16 instructions where the processor has
/// them.
const std::vector<const EncoderTarget*>& available_encoder_targets();

/// The last of `targets` whose `target` is this, or the first of them. `targets` is not empty.
const EncoderTarget& choose_encoder_target(const std::string& target, const std::vector<const EncoderTarget*>& targets);

/// The one of target(). std::invalid_argument as target() raises it.
const EncoderTarget& encoder_target();

}  // namespace medsam::kernels
