// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Rectangles of a grid, and which part of it a pass reads for a part that it writes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

namespace medsam::backends::native {

/// begin to end - 1.
struct Span {
  std::int64_t begin, end;
  [[nodiscard]] std::int64_t length() const { return end - begin; }
  [[nodiscard]] bool contains(const Span& other) const { return begin <= other.begin && other.end <= end; }
  [[nodiscard]] Span within(std::int64_t side) const { return {std::min(begin, side), std::min(end, side)}; }
};

struct Region {
  Span rows, columns;
  /// All of any grid.
  static constexpr Region whole() {
    constexpr Span kAll = {0, std::numeric_limits<std::int64_t>::max()};
    return {kAll, kAll};
  }
  [[nodiscard]] bool empty() const { return rows.length() <= 0 || columns.length() <= 0; }
  [[nodiscard]] bool contains(const Region& other) const {
    return rows.contains(other.rows) && columns.contains(other.columns);
  }
  [[nodiscard]] Region within(std::int64_t side) const { return {rows.within(side), columns.within(side)}; }
};

/// What a token that a pass writes depends on, of the grid that it reads, in rows and in columns alike: the tokens at
/// most `radius` from its own place, which is `stride` times that of the token written, with zeros outside the grid, or
/// all tokens of its window. One of both: a window has stride 1 and radius 0.
struct Locality {
  std::int64_t window = 0;  // 1: none; 0: everything, and nothing else below counts
  std::int64_t radius = 0;
  std::int64_t stride = 1;    // divides the grid
  std::int64_t channels = 0;  // of what is written

  [[nodiscard]] bool everything() const { return window == 0; }

  /// Tokens written that depend on one of `read`, which may be empty. `side`: of the grid that is read.
  [[nodiscard]] Span written(const Span& read, std::int64_t side) const {
    if (read.length() <= 0) return {0, 0};
    if (window > 1) return windows_of(read, side);
    return {std::max<std::int64_t>(0, (read.begin - radius + stride - 1) / stride),
            std::min(side / stride, (read.end - 1 + radius) / stride + 1)};
  }
  [[nodiscard]] Region written(const Region& read, std::int64_t side) const {
    if (read.empty()) return {{0, 0}, {0, 0}};
    return {written(read.rows, side), written(read.columns, side)};
  }

  /// Tokens that `written`, which is not empty, depends on.
  [[nodiscard]] Span read(const Span& written, std::int64_t side) const {
    if (window > 1) return windows_of(written, side);
    return {std::max<std::int64_t>(0, written.begin * stride - radius),
            std::min(side, (written.end - 1) * stride + radius + 1)};
  }
  [[nodiscard]] Region read(const Region& written, std::int64_t side) const {
    return {read(written.rows, side), read(written.columns, side)};
  }

 private:
  [[nodiscard]] Span windows_of(const Span& span, std::int64_t side) const {
    return {span.begin / window * window, std::min(side, (span.end + window - 1) / window * window)};
  }
};

}  // namespace medsam::backends::native
