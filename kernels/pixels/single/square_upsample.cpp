// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "kernels/pixels/single/square_upsample.hpp"

#include <vector>

namespace medsam::kernels {

void upsample_square(const float* in, std::int64_t height, std::int64_t width, std::int64_t side, float* out) {
  std::vector<SquareTap> columns(static_cast<std::size_t>(side));
  for (std::int64_t x = 0; x < side; ++x) columns[static_cast<std::size_t>(x)] = square_tap(x, width, side);
  for (std::int64_t y = 0; y < side; ++y) {
    const SquareTap row = square_tap(y, height, side);
    for (const SquareTap& column : columns) *out++ = square_sample(in, width, row, column);
  }
}

}  // namespace medsam::kernels
