// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A map of logits upsampled bilinearly to a square (align_corners = false), which some published scripts do before they
// upsample to the image: two bilinear steps are not one. For host and device; no FMA, each product rounds by itself.
#pragma once

#include <cstdint>

#include "kernels/pixels/math/pixel_math.hpp"

namespace medsam::kernels {

/// Where one sample of a side of `side` comes from in a side of `size`.
struct SquareTap {
  std::int64_t at, next;
  float weight;  // of next
};

MEDSAM_HOST_DEVICE inline SquareTap square_tap(std::int64_t index, std::int64_t size, std::int64_t side) noexcept {
  const float scale = static_cast<float>(size) / static_cast<float>(side);
  const float source = greater(0.F, scale * (static_cast<float>(index) + 0.5F) - 0.5F);
  const std::int64_t at = lesser<std::int64_t>(static_cast<std::int32_t>(source), size - 1);
  return {at, lesser(at + 1, size - 1), source - static_cast<float>(at)};
}

MEDSAM_HOST_DEVICE inline float square_sample(const float* in, std::int64_t stride, const SquareTap& row,
                                              const SquareTap& column) noexcept {
  const float* top = in + row.at * stride;
  const float* bottom = in + row.next * stride;
  const float upper = (1 - column.weight) * top[column.at] + column.weight * top[column.next];
  const float lower = (1 - column.weight) * bottom[column.at] + column.weight * bottom[column.next];
  return (1 - row.weight) * upper + row.weight * lower;
}

/// (height, width) to (side, side), of which the top left (rows, columns) are computed.
struct UpsampleSquareParams {
  const float* in = nullptr;
  std::int64_t stride = 0;  // elements from row to row; rows and columns that no tap reaches need not be there
  std::int64_t height = 0, width = 0, side = 0;
  std::int64_t rows = 0, columns = 0;
  float* out = nullptr;  // (rows, columns), dense
};

/// How much of a side of `size` the first `count` samples of `side` are made of.
inline std::int64_t square_reach(std::int64_t count, std::int64_t size, std::int64_t side) noexcept {
  return square_tap(count - 1, size, side).next + 1;
}

/// One implementation for every table.
void upsample_square(const UpsampleSquareParams& params);

}  // namespace medsam::kernels
