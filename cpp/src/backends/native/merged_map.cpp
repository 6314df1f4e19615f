// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A map of features for the neck: 1x1 convolution, bicubic to the neck's grid, and the sum with the maps before it.
#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "backends/native/passes.hpp"

namespace medsam::backends::native {

namespace {

/// Four neighbors and their weights.
struct Cubic {
  std::array<std::int64_t, 4> at{};
  std::array<float, 4> weights{};
};

/// torch's bicubic interpolation, half-pixel centers (aten/src/ATen/native/UpSample.h): Keys' kernel with a = -0.75.
std::vector<Cubic> cubics(std::int64_t from, std::int64_t to) {
  constexpr double kA = -0.75;
  const auto near = [](double x) { return ((kA + 2) * x - (kA + 3)) * x * x + 1; };
  const auto far = [](double x) { return ((kA * x - 5 * kA) * x + 8 * kA) * x - 4 * kA; };
  std::vector<Cubic> points(size(to));
  for (std::int64_t i = 0; i < to; ++i) {
    const double x = (static_cast<double>(i) + 0.5) * static_cast<double>(from) / static_cast<double>(to) - 0.5;
    const double whole = std::floor(x), t = x - whole;
    const double weights[4] = {far(t + 1), near(t), near(1 - t), far(2 - t)};
    for (std::size_t k = 0; k < 4; ++k) {
      const auto at = static_cast<std::int64_t>(whole) - 1 + static_cast<std::int64_t>(k);
      points[size(i)].at[k] = std::clamp<std::int64_t>(at, 0, from - 1);
      points[size(i)].weights[k] = static_cast<float>(weights[k]);
    }
  }
  return points;
}

class MergedMap final : public Pass {
 public:
  MergedMap(Linear layer, std::int64_t grid, std::int64_t to, Merge merge)
      : layer_(std::move(layer)), points_(cubics(grid, to)), grid_(grid), to_(to), merge_(merge) {}

  [[nodiscard]] Footprint footprint() const override {
    Carver rounded(nullptr), mixed(nullptr);
    take_rows_for(layer_, grid_, rounded);
    take_mixed(mixed);
    const std::int64_t maps = grid_ * grid_ * std::max(layer_.in, layer_.out), merged = to_ * to_ * layer_.out;
    return {layer_.bytes() + points_.capacity() * sizeof(Cubic),
            size(merge_ == Merge::last ? std::max(maps, merged) : maps), std::max(rounded.used(), mixed.used()),
            size(merged)};
  }

  void run(Frame& frame) const override {
    frame.for_pieces(grid_, [&](std::int64_t y, Carver& carver) {
      const float* row = frame.features() + y * grid_ * layer_.in;
      multiply(frame, layer_, operand_of(frame, layer_, row, grid_, take_rows_for(layer_, grid_, carver)), grid_,
               {frame.next() + y * grid_ * layer_.out, layer_.out});
    });
    frame.for_pieces(to_, [&](std::int64_t y, Carver& carver) { upsample_row(frame, y, take_mixed(carver)); });
  }

 private:
  float* take_mixed(Carver& carver) const { return carver.take<float>(size(grid_ * layer_.out)); }

  void upsample_row(const Frame& frame, std::int64_t y, float* mixed) const {
    const std::int64_t channels = layer_.out;
    blend(frame, points_[size(y)], frame.next(), grid_ * channels, nullptr, mixed);
    float* kept = frame.kept() + y * to_ * channels;
    // The map itself is read by nobody after the first loop.
    float* out = merge_ == Merge::last ? frame.features() + y * to_ * channels : kept;
    for (std::int64_t x = 0; x < to_; ++x) {
      blend(frame, points_[size(x)], mixed, channels, merge_ == Merge::first ? nullptr : kept + x * channels,
            out + x * channels);
    }
  }

  /// Of rows of n floats.
  static void blend(const Frame& frame, const Cubic& point, const float* rows, std::int64_t n, const float* base,
                    float* out) {
    kernels::BlendParams params;
    for (std::size_t k = 0; k < 4; ++k) {
      params.from[k] = rows + point.at[k] * n;
      params.weights[k] = point.weights[k];
    }
    params.base = base;
    params.n = n;
    params.out = out;
    frame.kernels().blend(params);
  }

  Linear layer_;
  std::vector<Cubic> points_;  // of rows and of columns
  std::int64_t grid_, to_;
  Merge merge_;
};

}  // namespace

PassPtr make_merged_map(Linear layer, std::int64_t grid, std::int64_t to, Merge merge) {
  return std::make_unique<MergedMap>(std::move(layer), grid, to, merge);
}

}  // namespace medsam::backends::native
