// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// How a grid of tokens is cut into windows, and what is added to the scores of each kind of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace medsam::backends::native {

/// Windows that have the same number of rows and columns inside the grid.
struct WindowKind {
  std::int64_t height, width, key_stride;
  bool cut;                 // padding follows the tokens as one more key
  std::vector<float> bias;  // (heads, tokens, key_stride)
  [[nodiscard]] std::int64_t tokens() const { return height * width; }
};

struct Window {
  std::int64_t y, x;
  std::size_t kind;
};

using WindowGroup = std::vector<Window>;

struct Windows {
  std::vector<WindowKind> kinds;
  std::vector<WindowGroup> groups;  // windows that are projected together

  [[nodiscard]] std::int64_t tokens(const WindowGroup& group) const;
  /// The most tokens of a group.
  [[nodiscard]] std::int64_t most_tokens() const;
  [[nodiscard]] std::int64_t longest_key_stride() const;
  /// Bytes of memory.
  [[nodiscard]] std::size_t bytes() const;
};

/// The most bytes that make_windows asks for.
std::uint64_t windows_bytes(std::int64_t heads, std::int64_t window, std::int64_t grid);

/// Windows of `window` x `window` tokens; biases: (heads, window * window), by the distance of two tokens in rows and
/// columns.
Windows make_windows(const float* biases, std::int64_t heads, std::int64_t window, std::int64_t grid);

}  // namespace medsam::backends::native
