// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// How a grid of tokens is cut into windows, and what is added to the scores of each kind of them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "backends/native/region.hpp"

namespace medsam::backends::native {

/// Windows that have the same number of rows and columns inside the grid.
struct WindowKind {
  std::int64_t height, width, key_stride;
  bool cut;                 // padding follows the tokens as one more key
  std::vector<float> bias;  // (heads, tokens, key_stride)
  [[nodiscard]] std::int64_t tokens() const { return height * width; }
};

struct Windows {
  std::int64_t window = 0;
  std::vector<WindowKind> kinds;  // whole, cut at the right, at the bottom, at both

  /// How many windows are projected together.
  [[nodiscard]] std::int64_t group_size() const;
  /// The most tokens of those.
  [[nodiscard]] std::int64_t most_tokens() const { return group_size() * largest(); }
  [[nodiscard]] std::int64_t longest_key_stride() const;
  /// Bytes of memory.
  [[nodiscard]] std::size_t bytes() const;

 private:
  /// Tokens of the largest kind.
  [[nodiscard]] std::int64_t largest() const;
};

struct Window {
  std::int64_t y, x;
  const WindowKind& kind;
};

/// The windows that have a token in a region of a grid of `side`, row by row, in groups. The grid is as the windows
/// were made for, or a smaller one whose windows are of the same kinds.
class WindowGroups {
 public:
  /// `windows` must outlive this.
  WindowGroups(const Windows& windows, std::int64_t side, const Region& region);

  [[nodiscard]] std::int64_t count() const { return (rows_ * columns_ + group_size_ - 1) / group_size_; }

  /// Calls f(window) for each one of a group.
  template <class F>
  void for_windows(std::int64_t group, const F& f) const {
    const std::int64_t last = std::min(rows_ * columns_, (group + 1) * group_size_);
    for (std::int64_t i = group * group_size_; i < last; ++i) f(window(i));
  }

 private:
  [[nodiscard]] Window window(std::int64_t i) const;

  const Windows& windows_;
  std::int64_t side_, group_size_, top_, left_, rows_, columns_;  // in windows, but for the side
};

/// The most bytes that make_windows asks for.
std::uint64_t windows_bytes(std::int64_t heads, std::int64_t window, std::int64_t grid);

/// Windows of `window` x `window` tokens; biases: (heads, window * window), by the distance of two tokens in rows and
/// columns.
Windows make_windows(const float* biases, std::int64_t heads, std::int64_t window, std::int64_t grid);

}  // namespace medsam::backends::native
