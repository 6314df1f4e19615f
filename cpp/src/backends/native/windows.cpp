// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "backends/native/windows.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "kernels/encoder/rows.hpp"

namespace medsam::backends::native {

namespace {

using kernels::kBlock;

// Windows are projected together until they have this many tokens: 49 alone fill 64 rows of a product, a quarter of
// them for nothing, four of them 224. 196 are one window of 14 x 14 too. Groups of 98 and of 392 tokens took the same
// time (docs/lab_notes.md).
constexpr std::int64_t kGroupTokens = 196;

/// The kinds of windows: whole, cut at the right, at the bottom, at both. Without their biases.
std::vector<WindowKind> kinds_of(std::int64_t window, std::int64_t grid) {
  std::vector<WindowKind> kinds;
  const std::int64_t whole = grid >= window ? window : 0, rest = grid % window;
  for (const std::int64_t height : {whole, rest}) {
    for (const std::int64_t width : {whole, rest}) {
      WindowKind kind{height, width, 0, height * width < window * window, {}};
      kind.key_stride = (kind.tokens() + (kind.cut ? 1 : 0) + kBlock - 1) / kBlock * kBlock;
      kinds.push_back(std::move(kind));
    }
  }
  return kinds;
}

/// What is added to the scores of a kind of window. Padding is one key: its tokens are all the same, and
/// sum_j exp(q k + bias_j) = exp(q k + log sum_j exp(bias_j)).
void fill_bias(const float* biases, std::int64_t heads, std::int64_t window, WindowKind& kind) {
  const std::int64_t tokens = kind.tokens();
  kind.bias.assign(static_cast<std::size_t>(heads * tokens * kind.key_stride), -std::numeric_limits<float>::infinity());
  for (std::int64_t head = 0; head < heads; ++head) {
    for (std::int64_t query = 0; query < tokens; ++query) {
      float* row = kind.bias.data() + (head * tokens + query) * kind.key_stride;
      double padding = 0;
      for (std::int64_t y = 0; y < window; ++y) {
        for (std::int64_t x = 0; x < window; ++x) {
          const std::int64_t offset = std::abs(query / kind.width - y) * window + std::abs(query % kind.width - x);
          const float bias = biases[head * window * window + offset];
          if (y < kind.height && x < kind.width) {
            row[y * kind.width + x] = bias;
          } else {
            padding += std::exp(static_cast<double>(bias));
          }
        }
      }
      if (kind.cut) row[tokens] = static_cast<float>(std::log(padding));
    }
  }
}

}  // namespace

std::int64_t Windows::tokens(const WindowGroup& group) const {
  std::int64_t tokens = 0;
  for (const Window& window : group) tokens += kinds[window.kind].tokens();
  return tokens;
}

std::int64_t Windows::most_tokens() const {
  std::int64_t most = 0;
  for (const WindowGroup& group : groups) most = std::max(most, tokens(group));
  return most;
}

std::int64_t Windows::longest_key_stride() const {
  std::int64_t longest = 0;
  for (const WindowKind& kind : kinds) longest = std::max(longest, kind.key_stride);
  return longest;
}

std::size_t Windows::bytes() const {
  std::size_t bytes = 0;
  for (const WindowKind& kind : kinds) bytes += sizeof(WindowKind) + kind.bias.capacity() * sizeof(float);
  for (const WindowGroup& group : groups) bytes += sizeof(WindowGroup) + group.capacity() * sizeof(Window);
  return bytes;
}

std::uint64_t windows_bytes(std::int64_t heads, std::int64_t window, std::int64_t grid) {
  std::uint64_t bytes = 0;
  for (const WindowKind& kind : kinds_of(window, grid)) {
    bytes += sizeof(float) * static_cast<std::uint64_t>(heads * kind.tokens() * kind.key_stride);
  }
  const std::int64_t side = (grid + window - 1) / window;
  // A list that grows holds up to twice what is in it; a group has a window at least.
  return bytes + 2 * static_cast<std::uint64_t>(side * side) * (sizeof(Window) + sizeof(WindowGroup));
}

Windows make_windows(const float* biases, std::int64_t heads, std::int64_t window, std::int64_t grid) {
  Windows windows;
  windows.kinds = kinds_of(window, grid);
  for (WindowKind& kind : windows.kinds) {
    if (kind.tokens() > 0) fill_bias(biases, heads, window, kind);
  }
  std::int64_t tokens = kGroupTokens;
  for (std::int64_t y = 0; y < grid; y += window) {
    for (std::int64_t x = 0; x < grid; x += window) {
      const std::size_t kind = (grid - y < window ? 2U : 0U) + (grid - x < window ? 1U : 0U);
      const std::int64_t own = windows.kinds[kind].tokens();
      if (tokens + own > kGroupTokens) {
        windows.groups.emplace_back();
        tokens = 0;
      }
      windows.groups.back().push_back({y, x, kind});
      tokens += own;
    }
  }
  return windows;
}

}  // namespace medsam::backends::native
