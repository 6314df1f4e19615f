// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Window attention: norm, projections, attention and output projection of a group of windows in one piece of work.
#include <algorithm>

#include "backends/native/passes.hpp"

namespace medsam::backends::native {

namespace {

constexpr float kEpsilon = 1e-5F;  // torch's LayerNorm

struct AttentionPassBuffers {
  float* added;
  OperandRows normalised, qkv, attended;
  void* attention;
};

AttentionPassBuffers take(const Block& block, std::int64_t most_tokens, Carver& carver) {
  AttentionPassBuffers buffers{};
  const std::int64_t rows = rounded_up(most_tokens, kBlock) + kBlock;  // a window's last block may begin anywhere
  buffers.added = carver.take<float>(size(rows * block.proj.out));
  buffers.normalised = take_rows_for(block.qkv, rows, carver);
  buffers.qkv = take_rows(block.qkv.matrix.operand, rows, block.qkv.out, carver);
  buffers.attended = take_rows_for(block.proj, rows, carver);
  std::int64_t key_stride = 0;
  for (const WindowKind& kind : block.kinds) key_stride = std::max(key_stride, kind.key_stride);
  buffers.attention = carver.take<std::byte>(kernels::attention_scratch(key_stride));
  return buffers;
}

std::int64_t tokens_of(const Block& block, const std::vector<Window>& group) {
  std::int64_t tokens = 0;
  for (const Window& window : group) tokens += block.kinds[window.kind].height * block.kinds[window.kind].width;
  return tokens;
}

std::int64_t most_tokens(const Block& block) {
  std::int64_t most = 0;
  for (const auto& group : block.groups) most = std::max(most, tokens_of(block, group));
  return most;
}

/// Calls f(a row of tokens in the features, its place in the group, number of elements).
template <class F>
void for_rows(const Block& block, const std::vector<Window>& group, std::int64_t grid, float* features, const F& f) {
  const std::int64_t channels = block.qkv.in;
  std::int64_t at = 0;
  for (const Window& window : group) {
    const WindowKind& kind = block.kinds[window.kind];
    for (std::int64_t y = 0; y < kind.height; ++y) {
      f(features + ((window.y + y) * grid + window.x) * channels, at, kind.width * channels);
      at += kind.width;
    }
  }
}

void attend(const Block& block, const WindowKind& kind, const Machine& machine, const OperandRows& qkv,
            const OperandRows& out, void* scratch) {
  const std::int64_t tokens = kind.height * kind.width;
  if (qkv.rounded != nullptr) {
    const Bf16* padding = kind.cut ? block.padding.data() : nullptr;
    machine.kernels->attention(
        {qkv.rounded, tokens, block.heads, padding, kind.bias.data(), kind.key_stride, out.rounded, scratch},
        *machine.product);
  } else {
    const float* padding = kind.cut ? block.qkv.bias.data() + block.qkv.in : nullptr;
    machine.kernels->attention_exact(
        {qkv.exact, tokens, block.heads, padding, kind.bias.data(), kind.key_stride, out.exact, scratch});
  }
}

}  // namespace

void run_attention(const Block& block, const Machine& machine, std::int64_t grid, Workspace& workspace) {
  const std::int64_t channels = block.qkv.in, most = most_tokens(block);
  const auto pieces = static_cast<std::int64_t>(block.groups.size());
  for_pieces(machine, workspace, pieces, [&](std::int64_t piece, Carver& carver) {
    const AttentionPassBuffers buffers = take(block, most, carver);
    const std::vector<Window>& group = block.groups[size(piece)];
    const std::int64_t tokens = tokens_of(block, group);
    for_rows(block, group, grid, workspace.current, [&](const float* row, std::int64_t at, std::int64_t count) {
      kernels::NormalizeRowsParams norm{};
      norm.in = row;
      norm.rows = count / channels;
      norm.channels = channels;
      norm.eps = kEpsilon;
      write_to(buffers.normalised.from(at), norm);
      machine.kernels->normalize_rows(norm);
    });
    auto project = product_of(block.qkv, buffers.normalised, tokens);
    write_to(buffers.qkv, project);
    machine.kernels->product(project, *machine.product);
    std::int64_t at = 0;
    for (const Window& window : group) {
      const WindowKind& kind = block.kinds[window.kind];
      attend(block, kind, machine, buffers.qkv.from(at), buffers.attended.from(at), buffers.attention);
      at += kind.height * kind.width;
    }
    auto params = product_of(block.proj, buffers.attended, tokens);
    params.out = buffers.added;
    params.out_stride = channels;
    machine.kernels->product(params, *machine.product);
    for_rows(block, group, grid, workspace.current, [&](float* row, std::int64_t place, std::int64_t count) {
      machine.kernels->add(buffers.added + place * channels, row, count);
    });
  });
}

std::size_t attention_pass_scratch(const Block& block) {
  Carver carver(nullptr);
  take(block, most_tokens(block), carver);
  return carver.used();
}

}  // namespace medsam::backends::native
