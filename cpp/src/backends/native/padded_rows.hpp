// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Rows of an image with a border of zeros, as the left operand of a 3x3 convolution: its taps are chunks of a product.
#pragma once

#include <cstdint>

#include "backends/native/layers.hpp"

namespace medsam::backends::native {

/// For `rows` rows at a time of the output of a convolution, over an image of `width` pixels a row.
class PaddedRows {
 public:
  PaddedRows(std::int64_t rows, std::int64_t width, std::int64_t stride, const Linear& layer, Carver& carver);

  /// Copies, or rounds, what rows first to last - 1 of the output read. `image`: (height, width, channels).
  void fill(const Frame& frame, const float* image, std::int64_t height, std::int64_t first, std::int64_t last);
  /// The left operand of row y of the output, which fill() was asked for.
  [[nodiscard]] ConstRows row(std::int64_t y) const;

 private:
  Rows rows_;
  std::int64_t width_, stride_, first_ = 0;
};

/// Where the nine taps lie in rows of `width` pixels with a border, of so many channels: what pack_matrix is given.
std::vector<std::int64_t> tap_offsets(std::int64_t width, std::int64_t channels);

}  // namespace medsam::backends::native
