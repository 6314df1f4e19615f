// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "kernels/pixels/single/crop_resize.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/base/carver.hpp"

namespace medsam::kernels {
namespace {

constexpr int kLanes = 4;  // a pixel as one vector: three channels and a zero

/// Which samples of an axis make each output sample, and by what weight.
struct Axis {
  std::int64_t max_taps;
  std::int64_t *begin, *count;  // (side)
  float* weight;                // (side, max_taps)
};

struct Plan {
  Axis x, y;
  float* pixels;  // (width, kLanes): a row of the crop in [0, 1]
  float* row;     // (3, side): the same row, resized
};

/// HelperInterpBase::_compute_indices_min_size_weights_aa with the triangle filter of HelperInterpLinear, double where
/// its literals make it double.
void fill_axis(std::int64_t in, std::int64_t out, Axis& axis) noexcept {
  const float scale = static_cast<float>(in) / static_cast<float>(out);
  const float support = std::max(scale, 1.F);
  const float inverse = scale >= 1.F ? 1.F / scale : 1.F;
  for (std::int64_t i = 0; i < out; ++i) {
    const auto center = static_cast<float>(scale * (static_cast<double>(i) + 0.5));
    const std::int64_t begin = std::max<std::int64_t>(static_cast<std::int64_t>(center - support + 0.5), 0);
    const std::int64_t end = std::min(static_cast<std::int64_t>(center + support + 0.5), in);
    const std::int64_t count = std::clamp<std::int64_t>(end - begin, 0, axis.max_taps);
    float* weight = axis.weight + i * axis.max_taps;
    float total = 0;
    for (std::int64_t j = 0; j < count; ++j) {
      const float distance = std::abs(static_cast<float>((static_cast<float>(j + begin) - center + 0.5) * inverse));
      weight[j] = distance < 1.F ? 1.F - distance : 0.F;
      total += weight[j];
    }
    for (std::int64_t j = 0; j < count; ++j) weight[j] /= total;
    axis.begin[i] = begin;
    axis.count[i] = count;
  }
}

Axis make_axis(std::int64_t in, std::int64_t out, Carver& carver) noexcept {
  const float support = std::max(static_cast<float>(in) / static_cast<float>(out), 1.F);
  Axis axis{};
  axis.max_taps = static_cast<std::int64_t>(std::ceil(support)) * 2 + 1;
  const auto samples = static_cast<std::size_t>(out);
  axis.begin = carver.take<std::int64_t>(samples);
  axis.count = carver.take<std::int64_t>(samples);
  axis.weight = carver.take<float>(samples * static_cast<std::size_t>(axis.max_taps));
  if (!carver.measuring()) fill_axis(in, out, axis);
  return axis;
}

Plan make_plan(const Pixels& crop, std::int64_t side, Carver& carver) noexcept {
  Plan plan{};
  plan.x = make_axis(crop.width, side, carver);
  plan.y = make_axis(crop.height, side, carver);
  plan.pixels = carver.take<float>(static_cast<std::size_t>(crop.width) * kLanes);
  plan.row = carver.take<float>(static_cast<std::size_t>(side) * 3);
  return plan;
}

void to_lanes(const Pixels& crop, std::int64_t y, float* pixels) noexcept {
  const auto* row = static_cast<const std::uint8_t*>(crop.data) + y * crop.row_stride;
  const std::int64_t green = crop.channels == 1 ? 0 : 1, blue = crop.channels == 1 ? 0 : 2;
  for (std::int64_t x = 0; x < crop.width; ++x) {
    const std::uint8_t* pixel = row + x * crop.channels;
    float* lanes = pixels + x * kLanes;
    lanes[0] = static_cast<float>(pixel[0]) / 255.F;
    lanes[1] = static_cast<float>(pixel[green]) / 255.F;
    lanes[2] = static_cast<float>(pixel[blue]) / 255.F;
    lanes[3] = 0;
  }
}

void resize_row(const Axis& axis, std::int64_t side, const float* pixels, float* row) noexcept {
  for (std::int64_t i = 0; i < side; ++i) {
    const float* weight = axis.weight + i * axis.max_taps;
    const float* pixel = pixels + axis.begin[i] * kLanes;
    float sum[kLanes] = {};
    for (std::int64_t j = 0; j < axis.count[i]; ++j, pixel += kLanes) {
      for (int lane = 0; lane < kLanes; ++lane) sum[lane] += weight[j] * pixel[lane];
    }
    for (int c = 0; c < 3; ++c) row[c * side + i] = sum[c];
  }
}

void add_row(float weight, const float* __restrict row, std::int64_t side, float* __restrict out) noexcept {
  for (int c = 0; c < 3; ++c) {
    for (std::int64_t x = 0; x < side; ++x) out[c * side * side + x] += weight * row[c * side + x];
  }
}

}  // namespace

std::size_t crop_resize_scratch(const Pixels& crop, std::int64_t side) noexcept {
  Carver carver(nullptr);
  make_plan(crop, side, carver);
  return carver.used();
}

void crop_resize(const Pixels& crop, std::int64_t side, float* out, void* scratch_memory) noexcept {
  Carver carver(scratch_memory);
  const Plan plan = make_plan(crop, side, carver);
  std::fill(out, out + 3 * side * side, 0.F);
  // The windows of the output rows begin and end in order, so each row of the crop is resized once and added to the few
  // it belongs to: no resized picture of the crop's full height is ever held.
  std::int64_t first = 0;  // the first output row that row y or a later one belongs to
  for (std::int64_t y = 0; y < crop.height; ++y) {
    while (first < side && plan.y.begin[first] + plan.y.count[first] <= y) ++first;
    if (first == side || plan.y.begin[first] > y) continue;
    to_lanes(crop, y, plan.pixels);
    resize_row(plan.x, side, plan.pixels, plan.row);
    for (std::int64_t i = first; i < side && plan.y.begin[i] <= y; ++i) {
      const std::int64_t tap = y - plan.y.begin[i];
      if (tap < plan.y.count[i]) add_row(plan.y.weight[i * plan.y.max_taps + tap], plan.row, side, out + i * side);
    }
  }
}

}  // namespace medsam::kernels
