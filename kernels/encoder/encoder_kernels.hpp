// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What an image encoder of our own is made of: matrix products on bf16 or f32 operands with f32 sums, and what lies
// between them. Tokens are rows, channels contiguous (NHWC). Depends on nothing but the standard library.
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

/// What the operands of a product are. Products of bf16 are summed in f32.
enum class Operand : std::uint8_t { bf16, f32 };

/// A block of a product: c (32, 32) = sum over chunks of a (rows, 32) b (32, 32). T is Bf16 or float.
template <class T>
struct BlockParams {
  const T* a;
  std::int64_t a_stride;       // elements from a row to the next
  const std::int64_t* chunks;  // (count): where in a row each chunk begins, elements; a convolution's taps are chunks
  std::int64_t count;
  const T* b;         // packed, see pack_matrix
  std::int64_t rows;  // of a that are wanted, 1 to 32; up to the next multiple of 16 are read
  float* c;           // (32, 32), 64-byte aligned; rows past `rows` are unspecified
};

/// One way to multiply blocks of bf16: AMX tiles, AVX-512's bf16 dot products, or the oracle. Blocks of f32 are
/// multiplied by the kernels' own target.
struct BlockProduct {
  const char* name;          // "AMX", "AVX512_BF16", "SCALAR"
  void (*begin)() noexcept;  // before a series of blocks on one thread
  void (*multiply)(const BlockParams<Bf16>&) noexcept;
  void (*end)() noexcept;  // after it
  bool native;             // by the processor's own instructions; false: the oracle
  bool dot_products;       // AVX512_BF16: kernels with native_bf16 do the same themselves, with no block in memory
};

/// Every one this processor has, the oracle first, the fastest last.
std::vector<const BlockProduct*> available_products();

/// The right operand of a product, in the order in which blocks read it.
struct PackedMatrix {
  Operand operand = Operand::bf16;
  std::vector<Bf16> rounded;         // of bf16
  std::vector<float> exact;          // of f32
  std::vector<std::int64_t> chunks;  // of a row of the left operand, for BlockParams
  std::int64_t in = 0, out = 0;      // of the matrix; out rounded up to kBlock
};

/// Packs `matrix` (taps * in, out), row-major; in a multiple of 32. Row t * in + i multiplies the left operand's
/// element tap_offsets[t] + i.
PackedMatrix pack_matrix(const float* matrix, std::int64_t in, std::int64_t out, Operand operand,
                         const std::vector<std::int64_t>& tap_offsets = {0});

/// out = f(a b + bias), f: + residual and GELU where they are asked for. An output that is not wanted is null. GELU is
/// as exact as the operands are (pointwise-inl.h).
struct ProductParams {
  const Bf16* a;         // the left operand of a matrix of bf16
  const float* a_exact;  // of one of f32
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
  Bf16* rounded;
  std::int64_t rounded_stride;
};

/// A row of a depthwise 3x3 convolution with zero padding, + bias, and GELU where it is asked for: for bf16 where
/// that alone is asked for.
struct DepthwiseParams {
  const float* rows[3];                  // (width, channels) each; null: outside the image
  std::int64_t width, channels, stride;  // stride 1 or 2; the output has ceil(width / stride) pixels
  const float* weight;                   // (9, channels)
  const float* bias;                     // (channels)
  bool gelu;
  float* out;     // rows of out_stride, or null
  Bf16* rounded;  // rows of rounded_stride, or null
  std::int64_t out_stride, rounded_stride;
};

/// Layer norm of each row: (x - mean) / sqrt(variance + eps) [* weight + bias].
struct NormalizeRowsParams {
  const float* in;
  std::int64_t rows, channels;  // in is dense
  float eps;
  const float* weight;  // null: none
  const float* bias;
  float* out;     // or null
  Bf16* rounded;  // or null
  std::int64_t out_stride, rounded_stride;
};

/// Attention inside one window, heads of 32 channels. T is Bf16 or float.
template <class T>
struct AttentionParams {
  const T* qkv;  // (tokens, 3 * heads * 32): queries, scaled; keys; values
  std::int64_t tokens, heads;
  const T* padding;         // (2 * heads * 32): the key and the value that follow the tokens' own, or null
  const float* bias;        // (heads, tokens, key_stride); columns past the last key hold -inf
  std::int64_t key_stride;  // keys rounded up to kBlock
  T* out;                   // (tokens, heads * 32)
  void* scratch;            // attention_scratch(key_stride) bytes, 64-byte aligned
};
std::size_t attention_scratch(std::int64_t key_stride) noexcept;

/// One implementation of every kernel.
struct EncoderKernels {
  const char* name;         // of the target, and where it rounds natively with _BF16 after it: to show, not to compare
  const char* target;       // Highway's name of the target, as KernelTable::name
  bool native_bf16;         // rounds to bf16 by the processor's own instruction
  bool fused_multiply_add;  // whether the target has it, without which f32 is not fast
  void (*product)(const ProductParams&, const BlockProduct&) noexcept;
  void (*depthwise)(const DepthwiseParams&) noexcept;
  void (*normalize_rows)(const NormalizeRowsParams&) noexcept;
  void (*attention)(const AttentionParams<Bf16>&, const BlockProduct&) noexcept;
  void (*attention_exact)(const AttentionParams<float>&) noexcept;
  /// n floats to bf16; n a multiple of 16.
  void (*round)(const float* in, Bf16* out, std::int64_t n) noexcept;
  /// to += from.
  void (*add)(const float* from, float* to, std::int64_t n) noexcept;
  /// out (n, channels) = GELU(bias + sum over planes of planes[p][i] * weight[p]), for a 1x1 convolution of an image.
  void (*expand_planes)(const float* const* planes, std::int64_t count, std::int64_t n, const float* weight,
                        const float* bias, std::int64_t channels, float* out) noexcept;
};

/// Every table this CPU can run, best last.
std::vector<const EncoderKernels*> available_encoder_kernels();

/// What an encoder is to compute with.
struct EncoderTarget {
  const EncoderKernels* kernels;
  const BlockProduct* product;
  bool fast_bf16;  // false: the product is the oracle
};

/// The best of `kernels` for `target` (a KernelTable's name): with the last of `products` where both have native bf16,
/// else with the first, the oracle. The first of `kernels`, with the oracle, where none is for that target. Neither
/// list is empty.
EncoderTarget choose_encoder_target(const std::string& target, const std::vector<const EncoderKernels*>& kernels,
                                    const std::vector<const BlockProduct*>& products);

/// The best of this CPU, or of the target that MEDSAM_ENGINE_SIMD names. std::invalid_argument as table() raises it.
EncoderTarget encoder_target();

}  // namespace medsam::kernels
