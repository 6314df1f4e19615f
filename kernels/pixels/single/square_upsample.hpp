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

MEDSAM_HOST_DEVICE inline float square_sample(const float* in, std::int64_t width, const SquareTap& row,
                                              const SquareTap& column) noexcept {
  const float* top = in + row.at * width;
  const float* bottom = in + row.next * width;
  const float upper = (1 - column.weight) * top[column.at] + column.weight * top[column.next];
  const float lower = (1 - column.weight) * bottom[column.at] + column.weight * bottom[column.next];
  return (1 - row.weight) * upper + row.weight * lower;
}

/// (height, width) to (side, side), row by row into `out`. One implementation for every table.
void upsample_square(const float* in, std::int64_t height, std::int64_t width, std::int64_t side, float* out);

}  // namespace medsam::kernels
