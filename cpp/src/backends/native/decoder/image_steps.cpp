// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The passes over the image: what the tokens tell it, what they ask it, and its up-scaling to logits.
#include <algorithm>

#include "backends/native/decoder/decoding.hpp"

namespace medsam::backends::native {

namespace {

constexpr std::int64_t kNormRows = 64;  // of a piece whose sums stay in the first- or second-level cache
constexpr std::int64_t kUpscaled = 32;  // image tokens that are up-scaled together: 64 KiB of f32 children's children

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

  /// What the tokens told the image in the first layer, where it is shared: scores from its projection.
  void hear_shared() const {
    const ConstRows queries = ConstRows(run_.workspace.queries).from(first_);
    kernels_.head_scores({queries, data_of(state_.head_keys), state_.key_bias, rows_, run_.columns, buffers_.scores});
    add_told(run_.decoder.layers[0].norms[3], ConstRows(run_.workspace.image).from(first_));
  }

  /// The same of any layer, from the keys in the buffers.
  void hear(const Norm& norm) const {
    Epilogue biased;
    biased.bias = state_.key_bias;
    kernels_.product({buffers_.keys, rows_, &state_.keys, biased, Rows(buffers_.scores, run_.columns)});
    add_told(norm, own_image());
  }

  /// The first layer's answer of a shared image.
  void answer_shared() const {
    const ConstRows keys = ConstRows(run_.workspace.keys).from(first_);
    kernels_.head_scores(
        {keys, data_of(state_.head_queries), run_.workspace.no_bias, rows_, run_.columns, buffers_.scores});
    soften();
    kernels_.mix_heads({run_.decoder.format, data_of(buffers_.weights),
                        data_of(ConstRows(run_.workspace.values).from(first_)), rows_, run_.columns,
                        state_.mixed + piece_ * run_.columns * kernels::kHeadChannels});
  }

  /// The answer from the keys and values in the buffers.
  void answer() const {
    const std::int64_t dim = run_.decoder.dim;
    kernels_.product({buffers_.keys, rows_, &state_.queries, {}, Rows(buffers_.scores, run_.columns)});
    soften();
    const void* values = buffers_.values != nullptr ? buffers_.values : data_of(own_image());
    kernels_.mix({run_.decoder.format, data_of(buffers_.weights), values, rows_, run_.columns, dim,
                  state_.mixed + piece_ * run_.columns * dim});
  }

  /// Keys of the prompt's own image, and its values where they are wanted, into the buffers.
  void read_own_image(bool values) const {
    kernels_.image_operands(
        {own_image(), run_.decoder.position_rows(first_), rows_, buffers_.keys, values ? buffers_.values : nullptr});
  }

 private:
  [[nodiscard]] ConstRows own_image() const { return ConstRows(state_.image).from(first_); }

  static const void* data_of(const ConstRows& rows) {
    return rows.format() == Format::bf16 ? static_cast<const void*>(rows.at<Bf16>(0)) : rows.at<float>(0);
  }
  static void* data_of(const Rows& rows) {
    return rows.format() == Format::bf16 ? static_cast<void*>(rows.at<Bf16>(0)) : rows.at<float>(0);
  }

  void soften() const {
    kernels_.soften_columns({buffers_.scores, rows_, run_.columns, run_.decoder.format, data_of(buffers_.weights),
                             state_.largest + piece_ * run_.columns, state_.sums + piece_ * run_.columns});
  }

  /// norm(image + what the tokens told by the scores) to the prompt's own image; its keys and values to the buffers.
  void add_told(const Norm& norm, const ConstRows& image) const {
    const std::int64_t dim = run_.decoder.dim;
    kernels_.soften_heads({buffers_.scores, rows_, run_.columns, buffers_.weights});
    for (std::int64_t row = 0; row < rows_; row += kNormRows) {
      const std::int64_t count = std::min(kNormRows, rows_ - row);
      Epilogue then;
      then.residual = image.from(row);
      kernels_.product({ConstRows(buffers_.weights).from(row), count, &state_.values, then, Rows(buffers_.sums, dim)});
      Bf16* values = buffers_.values == nullptr ? nullptr : buffers_.values + row * dim;
      kernels_.normalize_image(normalization(norm, buffers_.sums, count, state_.image.from(first_ + row)),
                               {{}, run_.decoder.position_rows(first_ + row), count, buffers_.keys.from(row), values});
    }
  }

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
  take_rows(Format::f32, decoder.grid, decoder.dim, masks);
  take_rows(Format::f32, decoder.grid, decoder.dim, masks);
  return std::max({piece.used(), upscale.used(), masks.used()});
}

void pass_image(const Decoding& run, std::int64_t prompt, std::int64_t index, std::int64_t layer, Carver& carver) {
  const Piece piece(run, prompt, index, carver);
  if (layer == 0) {
    if (run.shared()) return piece.answer_shared();
    piece.read_own_image(true);
  } else if (layer == 1 && run.shared()) {
    piece.hear_shared();
  } else {
    piece.read_own_image(false);
    piece.hear(run.decoder.layers[size(layer - 1)].norms[3]);
  }
  piece.answer();
}

void upscale_row(const Decoding& run, std::int64_t prompt, std::int64_t row, const DecoderOutput& output,
                 Carver& carver) {
  const SamDecoder& decoder = run.decoder;
  const EncoderTarget& kernels = run.kernels();
  const UpscaleBuffers buffers = take_upscale(decoder, carver);
  const PromptState& state = run.workspace.prompts[size(prompt)];
  const std::int64_t width = 4 * output.columns, area = 4 * output.rows * width;
  float* logits = output.logits + (run.first + prompt) * run.input.masks * area + 4 * row * width;
  for (std::int64_t x = 0; x < output.columns; x += kUpscaled) {
    const std::int64_t count = std::min(kUpscaled, output.columns - x);
    const ConstRows image = ConstRows(state.image).from(row * decoder.grid + x);
    multiply(kernels, decoder.upscale, image, count, {buffers.children, decoder.upscale.out});
    // The next tokens are on their way while these are normalized, which reads what the first-level cache has.
    const std::int64_t behind = decoder.image_tokens() - row * decoder.grid - x - count;
    prefetch(image.from(count), std::min(kUpscaled, behind));
    normalize(kernels, decoder.upscale_norm, buffers.children, 4 * count, buffers.normalized, Gelu::yes);
    Epilogue then;
    then.gelu = true;
    multiply(kernels, decoder.upscale_more, buffers.normalized, 4 * count, {buffers.more, decoder.upscale_more.out},
             then);
    kernels.mask_logits({buffers.more, count, state.kernels, run.input.masks, logits + 4 * x, width, area});
  }
}

}  // namespace medsam::backends::native
