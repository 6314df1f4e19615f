// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What an image encoder of our own is made of: matrix products on bf16 operands with f32 sums, and what lies between
// them. Tokens are rows, channels contiguous (NHWC). Depends on nothing but the standard library.
//
// One rule for memory: every row of channels is a multiple of 32 elements, and a matrix may be read up to the next
// multiple of 32 rows. Kernels are noexcept, allocate nothing and check nothing: the model checks its sizes when it is
// loaded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace medsam::kernels {

/// The upper half of an f32, rounded to even.
using Bf16 = std::uint16_t;

/// A product is computed in blocks of 32 x 32, along chunks of 32 of the dimension that is summed over.
constexpr std::int64_t kBlock = 32;

/// A block of a product: c (32, 32) = sum over chunks of a (rows, 32) b (32, 32).
struct BlockParams {
  const Bf16* a;
  std::int64_t a_stride;       // elements from a row to the next
  const std::int64_t* chunks;  // (count): where in a row each chunk begins, elements; a convolution's taps are chunks
  std::int64_t count;
  const Bf16* b;      // packed, see pack_matrix
  std::int64_t rows;  // of a that are wanted, 1 to 32; up to the next multiple of 16 are read
  float* c;           // (32, 32), 64-byte aligned; rows past `rows` are unspecified
};

/// One way to multiply blocks: AMX tiles, AVX-512's bf16 dot products, or the oracle.
struct BlockProduct {
  const char* name;          // "AMX", "AVX512_BF16", "SCALAR"
  void (*begin)() noexcept;  // before a series of blocks on one thread
  void (*multiply)(const BlockParams&) noexcept;
  void (*end)() noexcept;  // after it
};

/// Every one this processor has, the oracle first, the fastest last.
std::vector<const BlockProduct*> available_products();

/// How many bf16 terms stand for an f32 operand. One: its rounding. Two: its rounding and the rest's, and a product is
/// hi hi + hi lo + lo hi, which leaves out 2^-16 of it (Henry, Tang, Heinecke, Leveraging the bfloat16 artificial
/// intelligence datatype for higher-precision computations, arXiv 1904.06376).
enum class Terms : std::uint8_t { one, two };

/// The right operand of a product, in the order in which blocks read it.
struct PackedMatrix {
  std::vector<Bf16> data;
  std::vector<std::int64_t> chunks;  // of a row of the left operand, for BlockParams
  std::int64_t in = 0, out = 0;      // of the matrix; out rounded up to kBlock
};

/// Packs `matrix` (taps * in, out), row-major; in a multiple of 32. Row t * in + i multiplies the left operand's
/// element tap_offsets[t] + i, and with two terms its lower term, which lies low_offset elements after it.
PackedMatrix pack_matrix(const float* matrix, std::int64_t in, std::int64_t out, Terms terms,
                         const std::vector<std::int64_t>& tap_offsets = {0}, std::int64_t low_offset = 0);

/// out = f(a b + bias), f: + residual and GELU where they are asked for. An output that is not wanted is null.
struct ProductParams {
  const Bf16* a;
  std::int64_t a_stride;
  std::int64_t rows;
  const PackedMatrix* b;
  const float* bias;  // (b->out), or null
  bool gelu;          // before the residual is added
  const float* residual;
  std::int64_t residual_stride;
  bool gelu_after;  // the residual was added
  float* out;
  std::int64_t out_stride;
  Bf16* rounded;                            // the same in one term, or two
  std::int64_t rounded_stride, low_offset;  // low_offset 0: one term
};

/// A row of a depthwise 3x3 convolution with zero padding, + bias, and GELU where it is asked for.
struct DepthwiseParams {
  const float* rows[3];                  // (width, channels) each; null: outside the image
  std::int64_t width, channels, stride;  // stride 1 or 2; the output has ceil(width / stride) pixels
  const float* weight;                   // (9, channels)
  const float* bias;                     // (channels)
  bool gelu;
  float* out;     // (., channels), or null
  Bf16* rounded;  // the same in one term, or two; or null
  std::int64_t rounded_stride, low_offset;
};

/// Layer norm of each row: (x - mean) / sqrt(variance + eps) [* weight + bias].
struct NormalizeRowsParams {
  const float* in;
  std::int64_t rows, channels;  // in and out are dense
  float eps;
  const float* weight;  // null: none
  const float* bias;
  float* out;     // or null
  Bf16* rounded;  // or null
  std::int64_t rounded_stride, low_offset;
};

/// Attention inside one window, heads of 32 channels.
struct AttentionParams {
  const Bf16* qkv;  // (tokens, 3 * heads * 32): queries, scaled; keys; values
  std::int64_t tokens, heads;
  const Bf16* padding;      // (2 * heads * 32): the key and the value that follow the tokens' own, or null
  const float* bias;        // (heads, tokens, key_stride); columns past the last key hold -inf
  std::int64_t key_stride;  // keys rounded up to kBlock
  Bf16* out;                // (tokens, heads * 32)
  void* scratch;            // attention_scratch(key_stride) bytes, 64-byte aligned
};
std::size_t attention_scratch(std::int64_t key_stride) noexcept;

/// One implementation of every kernel.
struct EncoderKernels {
  const char* name;  // Highway's name of the target
  void (*product)(const ProductParams&, const BlockProduct&) noexcept;
  void (*depthwise)(const DepthwiseParams&) noexcept;
  void (*normalize_rows)(const NormalizeRowsParams&) noexcept;
  void (*attention)(const AttentionParams&, const BlockProduct&) noexcept;
  /// n floats to one term, or two (low_offset elements apart); n a multiple of 16.
  void (*round)(const float* in, Bf16* out, std::int64_t low_offset, std::int64_t n) noexcept;
  /// to += from.
  void (*add)(const float* from, float* to, std::int64_t n) noexcept;
  /// out (n, channels) = GELU(bias + sum over planes of planes[p][i] * weight[p]), for a 1x1 convolution of an image.
  void (*expand_planes)(const float* const* planes, std::int64_t count, std::int64_t n, const float* weight,
                        const float* bias, std::int64_t channels, Bf16* out, std::int64_t out_stride,
                        std::int64_t low_offset) noexcept;
};

/// Every table this CPU can run, best last.
std::vector<const EncoderKernels*> available_encoder_kernels();

}  // namespace medsam::kernels
