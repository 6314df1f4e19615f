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

// As many windows are projected together as have this many tokens where they are whole: 49 alone fill 64 rows of a
// product, a quarter of them for nothing, four of them 224. 196 are one window of 14 x 14 too. Groups of 98 and of 392
// tokens took the same time (docs/lab_notes.md).
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

std::int64_t Windows::largest() const {
  std::int64_t most = 1;
  for (const WindowKind& kind : kinds) most = std::max(most, kind.tokens());
  return most;
}

std::int64_t Windows::group_size() const { return std::max<std::int64_t>(1, kGroupTokens / largest()); }

std::int64_t Windows::longest_key_stride() const {
  std::int64_t longest = 0;
  for (const WindowKind& kind : kinds) longest = std::max(longest, kind.key_stride);
  return longest;
}

std::size_t Windows::bytes() const {
  std::size_t bytes = 0;
  for (const WindowKind& kind : kinds) bytes += sizeof(WindowKind) + kind.bias.capacity() * sizeof(float);
  return bytes;
}

std::uint64_t windows_bytes(std::int64_t heads, std::int64_t window, std::int64_t grid) {
  std::uint64_t bytes = 0;
  for (const WindowKind& kind : kinds_of(window, grid)) {
    bytes += sizeof(float) * static_cast<std::uint64_t>(heads * kind.tokens() * kind.key_stride);
  }
  return bytes;
}

Windows make_windows(const float* biases, std::int64_t heads, std::int64_t window, std::int64_t grid) {
  Windows windows{window, kinds_of(window, grid)};
  for (WindowKind& kind : windows.kinds) {
    if (kind.tokens() > 0) fill_bias(biases, heads, window, kind);
  }
  return windows;
}

WindowGroups::WindowGroups(const Windows& windows, std::int64_t side, const Region& region)
    : windows_(windows),
      side_(side),
      group_size_(windows.group_size()),
      top_(region.rows.begin / windows.window),
      left_(region.columns.begin / windows.window),
      rows_(region.empty() ? 0 : (region.rows.end - 1) / windows.window + 1 - top_),
      columns_(region.empty() ? 0 : (region.columns.end - 1) / windows.window + 1 - left_) {}

Window WindowGroups::window(std::int64_t i) const {
  const std::int64_t size = windows_.window, y = (top_ + i / columns_) * size, x = (left_ + i % columns_) * size;
  return {y, x, windows_.kinds[(side_ - y < size ? 2U : 0U) + (side_ - x < size ? 1U : 0U)]};
}

}  // namespace medsam::backends::native
