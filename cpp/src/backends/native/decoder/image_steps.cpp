// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The passes over the image: what the tokens tell it, what they ask it, and its up-scaling to logits.
#include <algorithm>

#include "backends/native/decoder/decoding.hpp"

namespace medsam::backends::native {

namespace {

constexpr std::int64_t kNormRows = 64;   // of a piece whose sums stay in the first- or second-level cache
constexpr std::int64_t kUpscaled = 32;   // image tokens that are up-scaled together: 64 KiB of f32 children's children

struct PieceBuffers {
  float *scores, *sums;  // (kPiece, columns), (kNormRows, dim)
  Rows weights, keys;    // (kPiece, columns), (kPiece, dim)
  Bf16* values;          // (kPiece, dim), or null
};

PieceBuffers take_piece(const SamDecoder& decoder, std::int64_t columns, Carver& carver) {
  PieceBuffers buffers{};
  buffers.scores = carver.take<float>(size(kPiece * columns));
  buffers.sums = carver.take<float>(size(kNormRows * decoder.dim));
  buffers.weights = take_rows(decoder.format, kPiece, columns, carver);
  buffers.keys = take_rows(decoder.format, kPiece, decoder.dim, carver);
  if (decoder.format == Format::bf16) buffers.values = carver.take<Bf16>(size(kPiece * decoder.dim));
  return buffers;
}

struct UpscaleBuffers {
  float *children, *more;  // (kUpscaled, dim), (4 kUpscaled, dim / 2)
  Rows normalized;         // (4 kUpscaled, dim / 4)
};

UpscaleBuffers take_upscale(const SamDecoder& decoder, Carver& carver) {
  UpscaleBuffers buffers{};
  buffers.children = carver.take<float>(size(kUpscaled * decoder.dim));
  buffers.more = carver.take<float>(size(4 * kUpscaled * decoder.dim / 2));
  buffers.normalized = take_rows(decoder.format, 4 * kUpscaled, decoder.dim / 4, carver);
  return buffers;
}

/// One piece of one prompt's image.
class Piece {
 public:
  Piece(const Decoding& run, std::int64_t prompt, std::int64_t piece, Carver& carver)
      : run_(run),
        kernels_(run.kernels()),
        state_(run.workspace.prompts[size(prompt)]),
        piece_(piece),
        first_(piece * kPiece),
        rows_(std::min(kPiece, run.decoder.image_tokens() - piece * kPiece)),
        buffers_(take_piece(run.decoder, run.columns, carver)) {}

  /// The tokens' answer, added to the image; its keys and values are in the buffers then.
  void add_answer(const Norm& norm, const ConstRows& image, const ConstRows& keys) const {
    const std::int64_t dim = run_.decoder.dim, columns = run_.columns;
    Epilogue biased;
    biased.bias = state_.key_bias;
    kernels_.product({keys, rows_, &state_.keys, biased, Rows(buffers_.scores, columns)});
    kernels_.soften_heads({buffers_.scores, rows_, columns, buffers_.weights});
    const Rows out = state_.image.from(first_);
    for (std::int64_t row = 0; row < rows_; row += kNormRows) {
      const std::int64_t count = std::min(kNormRows, rows_ - row);
      Epilogue then;
      then.residual = image.from(row);
      kernels_.product(
          {ConstRows(buffers_.weights).from(row), count, &state_.values, then, Rows(buffers_.sums, dim)});
      Bf16* values = buffers_.values == nullptr ? nullptr : buffers_.values + row * dim;
      kernels_.normalize_image(
          normalization(norm, buffers_.sums, count, out.from(row)),
          {{}, run_.decoder.position_rows(first_ + row), count, buffers_.keys.from(row), values});
    }
  }

  void answer(const ConstRows& keys, const void* values) const {
    const std::int64_t dim = run_.decoder.dim, columns = run_.columns;
    kernels_.product({keys, rows_, &state_.queries, {}, Rows(buffers_.scores, columns)});
    void* weights = run_.decoder.format == Format::bf16 ? static_cast<void*>(buffers_.weights.at<Bf16>(0))
                                                        : static_cast<void*>(buffers_.weights.at<float>(0));
    kernels_.soften_columns({buffers_.scores, rows_, columns, run_.decoder.format, weights,
                             state_.largest + piece_ * columns, state_.sums + piece_ * columns});
    kernels_.mix({run_.decoder.format, weights, values, rows_, columns, dim, state_.mixed + piece_ * columns * dim});
  }

  /// Keys of the prompt's own image, and its values where they are wanted, into the buffers.
  void read_own_image(bool values) const {
    kernels_.image_operands({own_image(), run_.decoder.position_rows(first_), rows_, buffers_.keys,
                             values ? buffers_.values : nullptr});
  }

  [[nodiscard]] ConstRows own_image() const { return ConstRows(state_.image).from(first_); }
  [[nodiscard]] ConstRows shared_image() const { return ConstRows(run_.workspace.image).from(first_); }
  [[nodiscard]] ConstRows shared_keys() const { return ConstRows(run_.workspace.keys).from(first_); }
  [[nodiscard]] ConstRows own_keys() const { return buffers_.keys; }

  /// As kernels::MixParams has them.
  [[nodiscard]] const void* own_values() const {
    return buffers_.values != nullptr ? static_cast<const void*>(buffers_.values) : own_image().at<float>(0);
  }
  [[nodiscard]] const void* shared_values() const {
    const Bf16* pairs = run_.workspace.values;
    return pairs != nullptr ? static_cast<const void*>(pairs + first_ * run_.decoder.dim)
                            : shared_image().at<float>(0);
  }

 private:
  const Decoding& run_;
  const EncoderTarget& kernels_;
  PromptState& state_;
  std::int64_t piece_, first_, rows_;
  PieceBuffers buffers_;
};

}  // namespace

std::size_t image_scratch(const SamDecoder& decoder, std::int64_t columns) {
  Carver piece(nullptr), upscale(nullptr), masks(nullptr);
  take_piece(decoder, columns, piece);
  take_upscale(decoder, upscale);
  // add_masks and prepare_image: a row of image tokens in f32, and of the last convolution's operand.
  masks.take<float>(size(decoder.grid * (decoder.dim + kBlock) + kBlock * kBlock));
  return std::max({piece.used(), upscale.used(), masks.used()});
}

void pass_image(const Decoding& run, std::int64_t prompt, std::int64_t index, const Norm* told, Carver& carver) {
  const Piece piece(run, prompt, index, carver);
  // Until the tokens have told it something, the image is the same for all prompts, but for those with masks.
  const bool first_layer = told == nullptr || told == &run.decoder.layers[0].norms[3];
  const bool shared = first_layer && run.input.mask_input == nullptr;
  if (!shared) piece.read_own_image(told == nullptr);
  if (told != nullptr) {
    piece.add_answer(*told, shared ? piece.shared_image() : piece.own_image(),
                     shared ? piece.shared_keys() : piece.own_keys());
  } else if (shared) {
    return piece.answer(piece.shared_keys(), piece.shared_values());
  }
  piece.answer(piece.own_keys(), piece.own_values());
}

void upscale_row(const Decoding& run, std::int64_t prompt, std::int64_t row, float* logits, Carver& carver) {
  const SamDecoder& decoder = run.decoder;
  const EncoderTarget& kernels = run.kernels();
  const UpscaleBuffers buffers = take_upscale(decoder, carver);
  const PromptState& state = run.workspace.prompts[size(prompt)];
  const std::int64_t side = decoder.side();
  for (std::int64_t x = 0; x < decoder.grid; x += kUpscaled) {
    const std::int64_t count = std::min(kUpscaled, decoder.grid - x);
    const ConstRows image = ConstRows(state.image).from(row * decoder.grid + x);
    multiply(kernels, decoder.upscale, image, count, {buffers.children, decoder.upscale.out});
    normalize(kernels, decoder.upscale_norm, buffers.children, 4 * count, buffers.normalized, Gelu::yes);
    Epilogue then;
    then.gelu = true;
    multiply(kernels, decoder.upscale_more, buffers.normalized, 4 * count, {buffers.more, decoder.upscale_more.out},
             then);
    kernels.mask_logits({buffers.more, count, state.kernels, run.input.masks, logits + 4 * (row * side + x), side,
                         side * side});
  }
}

}  // namespace medsam::backends::native
