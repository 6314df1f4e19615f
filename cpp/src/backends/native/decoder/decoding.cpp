// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "backends/native/decoder/decoding.hpp"

#include <algorithm>
#include <limits>

namespace medsam::backends::native {

using kernels::kHeadsWidth;
using kernels::whole_blocks;

namespace {

/// Rows of image tokens, and those behind them that a product reads whose last block begins anywhere.
Rows take_image(Format format, std::int64_t count, std::int64_t channels, Carver& carver) {
  return take_rows(format, count + kBlock, channels, carver);
}

}  // namespace

std::int64_t batch_of(const SamDecoder& decoder, std::int64_t prompts, std::int64_t columns) {
  const std::int64_t bytes = pieces_of(decoder) * columns * decoder.dim * static_cast<std::int64_t>(sizeof(float));
  return std::min({kBatch, std::max<std::int64_t>(1, kBatchColumns / columns),
                   std::max<std::int64_t>(1, kBatchBytes / bytes), prompts});
}

DecoderWorkspace::DecoderWorkspace(const SamDecoder& decoder, std::size_t threads, bool projected)
    : decoder_(decoder), threads_(threads) {
  const std::int64_t count = decoder.image_tokens();
  lay_out(shared_, [&](Carver& carver) {
    image = take_image(decoder.format, count, decoder.dim, carver);
    if (!projected) return;
    for (Rows* rows : {&keys, &values, &queries}) *rows = take_image(decoder.format, count, kHeadsWidth, carver);
  });
}

void DecoderWorkspace::reserve(std::int64_t prompt_count, std::int64_t tokens, std::int64_t masks) {
  const std::int64_t columns = kernels::score_columns(tokens);
  const bool fits = prompt_count <= prompts_ && tokens == tokens_ && masks <= masks_;
  if (!fits) {
    // Nothing of the old layout is valid while the new one is made.
    prompts_ = tokens_ = masks_ = 0;
    const std::int64_t pieces = pieces_of(decoder_), dim = decoder_.dim;
    prompts.resize(size(prompt_count));
    lay_out(states_, [&](Carver& carver) {
      no_bias = carver.take<float>(size(columns));
      for (PromptState& state : prompts) {
        state.image = take_image(decoder_.format, decoder_.image_tokens(), dim, carver);
        state.head_queries = take_rows(decoder_.format, kernels::kHeadChannels, columns, carver);
        state.head_keys = take_rows(decoder_.format, kernels::kHeadChannels, columns, carver);
        state.key_bias = carver.take<float>(size(columns));
        state.mixed = carver.take<float>(size(pieces * columns * dim));
        state.largest = carver.take<float>(size(pieces * columns));
        state.sums = carver.take<float>(size(pieces * columns));
        state.kernels = carver.take<float>(size(masks * kBlock));
      }
    });
    std::fill_n(no_bias, columns, 0.F);
    for (PromptState& state : prompts) {
      state.queries = kernels::unpacked_matrix(dim, columns, decoder_.format);
      state.keys = kernels::unpacked_matrix(dim, columns, decoder_.format);
      state.values = kernels::unpacked_matrix(columns, dim, decoder_.format);
    }
    make_self_bias(tokens);
    scratch_bytes_ = std::max(scratch_bytes_, aligned(image_scratch(decoder_, columns)));
    scratch_.reserve(scratch_bytes_ * threads_);
    prompts_ = prompt_count;
    tokens_ = tokens;
    masks_ = masks;
  }
  lay_out_groups(prompt_count, tokens);
}

void DecoderWorkspace::lay_out_groups(std::int64_t prompt_count, std::int64_t tokens) {
  const auto count = std::min<std::int64_t>(prompt_count, static_cast<std::int64_t>(threads_));
  const std::int64_t columns = kernels::score_columns(tokens), dim = decoder_.dim;
  const std::int64_t hidden = decoder_.hidden;
  groups.resize(size(count));
  lay_out(groups_, [&](Carver& carver) {
    std::int64_t first = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      TokenGroup& group = groups[size(i)];
      group.first = first;
      group.prompts = (prompt_count - first + count - i - 1) / (count - i);
      first += group.prompts;
      // Attention's last block of rows may begin anywhere and reads kBlock of them.
      const std::int64_t rows = whole_blocks(group.prompts * tokens) + kBlock;
      for (float** table : {&group.tokens, &group.positions, &group.sum, &group.attended}) {
        *table = carver.take<float>(size(rows * dim));
      }
      group.operand = take_rows(decoder_.format, rows, dim, carver);
      group.thoughts = take_rows(decoder_.format, rows, hidden, carver);
      group.qkv = carver.take<float>(size(rows * 3 * dim));
      group.hidden = carver.take<float>(size(rows * hidden));
      group.inner = carver.take<float>(size(rows * kHeadsWidth));
      group.columns = carver.take<float>(size(columns * dim));
      group.folded = take_rows(decoder_.format, columns, dim, carver);
      group.attention = carver.take<std::byte>(kernels::attention_scratch(whole_blocks(tokens)));
    }
  });
}

void DecoderWorkspace::make_self_bias(std::int64_t tokens) {
  const std::int64_t stride = whole_blocks(tokens), rows = kernels::kHeads * tokens;
  bias_.reserve(size(rows * stride) * sizeof(float));
  auto* bias = reinterpret_cast<float*>(bias_.data());
  for (std::int64_t row = 0; row < rows; ++row) {
    std::fill_n(bias + row * stride, tokens, 0.F);
    std::fill_n(bias + row * stride + tokens, stride - tokens, -std::numeric_limits<float>::infinity());
  }
  self_bias = bias;
}

void run_decoder(const SamDecoder& decoder, const Machine& machine, const DecoderInput& input,
                 DecoderWorkspace& workspace, bool prepared, const DecoderOutput& output) {
  const std::int64_t tokens = 1 + decoder.masks() + input.tokens;
  Decoding run{decoder, machine, workspace, input, 0, 0, tokens, kernels::score_columns(tokens)};
  workspace.reserve(batch_of(decoder, input.prompts, run.columns), tokens, input.masks);
  if (!prepared) prepare_image(run);
  for (run.first = 0; run.first < input.prompts; run.first += run.prompts) {
    run.prompts = batch_of(decoder, input.prompts - run.first, run.columns);
    workspace.reserve(run.prompts, tokens, input.masks);
    const auto over_groups = [&](const auto& step) {
      run.for_each(static_cast<std::int64_t>(workspace.groups.size()),
                   [&](std::int64_t i, Carver&) { step(workspace.groups[size(i)]); });
    };
    // Neighbors in this order share a piece of the image.
    const auto over_image = [&](std::int64_t layer) {
      run.for_each(run.pieces() * run.prompts, [&](std::int64_t i, Carver& carver) {
        pass_image(run, i % run.prompts, i / run.prompts, layer, carver);
      });
    };
    if (input.mask_input != nullptr) add_masks(run);
    over_groups([&](const TokenGroup& group) { begin_tokens(run, group); });
    over_image(0);
    for (std::int64_t layer = 0; layer < SamDecoder::kLayers; ++layer) {
      over_groups([&](const TokenGroup& group) { hear_image(run, group, layer); });
      run.for_each(SlicedPerceptron::kSlices, [&](std::int64_t i, Carver&) { think(run, layer, i); });
      run.for_each(SlicedPerceptron::kSlices, [&](std::int64_t i, Carver&) { think_again(run, layer, i); });
      over_groups([&](const TokenGroup& group) { advance_tokens(run, group, layer); });
      over_image(layer + 1);
    }
    over_groups([&](const TokenGroup& group) { finish_tokens(run, group, output.quality + run.first * input.masks); });
    run.for_each(output.rows * run.prompts, [&](std::int64_t i, Carver& carver) {
      upscale_row(run, i / output.rows, i % output.rows, output, carver);
    });
  }
}

}  // namespace medsam::backends::native
