// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "kernels/pixels/single/square_upsample.hpp"

#include <vector>

namespace medsam::kernels {

void upsample_square(const UpsampleSquareParams& p) {
  std::vector<SquareTap> columns(static_cast<std::size_t>(p.columns));
  for (std::int64_t x = 0; x < p.columns; ++x) columns[static_cast<std::size_t>(x)] = square_tap(x, p.width, p.side);
  float* out = p.out;
  for (std::int64_t y = 0; y < p.rows; ++y) {
    const SquareTap row = square_tap(y, p.height, p.side);
    for (const SquareTap& column : columns) *out++ = square_sample(p.in, p.stride, row, column);
  }
}

}  // namespace medsam::kernels
