// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "backends/native/padded_rows.hpp"

#include <algorithm>
#include <cstring>

namespace medsam::backends::native {

namespace {

/// Pixels (x0 to x1 - 1) of a row of the operand: zeros.
void clear(const Rows& row, std::int64_t x0, std::int64_t x1) {
  const std::size_t count = size((x1 - x0) * row.channels());
  if (row.format() == Format::bf16) {
    std::memset(row.at<Bf16>(x0), 0, count * sizeof(Bf16));
  } else {
    std::memset(row.at<float>(x0), 0, count * sizeof(float));
  }
}

}  // namespace

// A product reads its operand up to the next multiple of 32 rows, here pixels that lie `stride` apart.
PaddedRows::PaddedRows(std::int64_t rows, std::int64_t width, std::int64_t stride, const Linear& layer, Carver& carver)
    : rows_(take_rows_for(layer, ((rows - 1) * stride + 3) * (width + 2) + kBlock * stride, carver)),
      width_(width),
      stride_(stride) {}

void PaddedRows::fill(const Frame& frame, const float* image, std::int64_t height, std::int64_t first,
                      std::int64_t last) {
  first_ = first;
  const std::int64_t channels = rows_.channels(), top = first * stride_ - 1;
  for (std::int64_t y = top; y <= (last - 1) * stride_ + 1; ++y) {
    const Rows row = rows_.from((y - top) * (width_ + 2));
    if (y < 0 || y >= height) {
      clear(row, 0, width_ + 2);
      continue;
    }
    clear(row, 0, 1);
    clear(row, width_ + 1, width_ + 2);
    const float* pixels = image + y * width_ * channels;
    if (row.format() == Format::bf16) {
      frame.kernels().round(pixels, row.at<Bf16>(1), width_ * channels);
    } else {
      std::copy_n(pixels, size(width_ * channels), row.at<float>(1));
    }
  }
}

ConstRows PaddedRows::row(std::int64_t y) const {
  const std::int64_t pixel = (y - first_) * stride_ * (width_ + 2), channels = rows_.channels();
  if (rows_.format() == Format::bf16) return Rows(rows_.at<Bf16>(pixel), channels, stride_ * channels);
  return Rows(rows_.at<float>(pixel), channels, stride_ * channels);
}

std::vector<std::int64_t> tap_offsets(std::int64_t width, std::int64_t channels) {
  std::vector<std::int64_t> taps;
  for (std::int64_t y = 0; y < 3; ++y) {
    for (std::int64_t x = 0; x < 3; ++x) taps.push_back((y * (width + 2) + x) * channels);
  }
  return taps;
}

}  // namespace medsam::backends::native
