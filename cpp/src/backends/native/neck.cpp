// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// 1x1 and 3x3 convolution, each with a layer norm behind it, and the output in the graph's order of axes.
#include <algorithm>
#include <utility>

#include "backends/native/passes.hpp"

namespace medsam::backends::native {

namespace {

class Neck final : public Pass {
 public:
  Neck(NeckLayers layers, std::int64_t grid) : layers_(std::move(layers)), grid_(grid) {}

  [[nodiscard]] Footprint footprint() const override {
    Carver carver(nullptr);
    take_reduced(carver);
    Carver smoothed(nullptr);
    take_smoothed(smoothed);
    return {layers_.reduce.bytes() + layers_.smooth.bytes() + layers_.reduce_norm.bytes() + layers_.smooth_norm.bytes(),
            size(std::max(grid_ * grid_ * layers_.reduce.in, padded_elements())),
            std::max(carver.used(), smoothed.used())};
  }

  void run(Frame& frame) const override {
    // The features after the first layer, as a left operand with a border of zeros: bf16 fills half of it.
    std::fill(frame.next(), frame.next() + padded_elements(), 0.F);
    const std::int64_t channels = layers_.smooth.in;
    const Rows padded = layers_.smooth.matrix.format() == Format::bf16
                            ? Rows(reinterpret_cast<Bf16*>(frame.next()), channels)
                            : Rows(frame.next(), channels);
    frame.for_pieces(grid_, [&](std::int64_t y, Carver& carver) {
      reduce_row(frame, take_reduced(carver), y, padded.from((y + 1) * side() + 1));
    });
    frame.for_pieces(grid_, [&](std::int64_t y, Carver& carver) {
      smooth_row(frame, padded.from(y * side()), take_smoothed(carver), y);
    });
  }

 private:
  struct Reduced {
    Rows in;  // a row of features as left operand
    float* out;
  };
  Reduced take_reduced(Carver& carver) const {
    Reduced row{};
    row.in = take_rows_for(layers_.reduce, grid_, carver);
    row.out = carver.take<float>(size(grid_ * layers_.reduce.out));
    return row;
  }
  float* take_smoothed(Carver& carver) const { return carver.take<float>(size(grid_ * layers_.smooth.out)); }

  void reduce_row(const Frame& frame, const Reduced& row, std::int64_t y, const Rows& out) const {
    const Linear& reduce = layers_.reduce;
    const float* features = frame.features() + y * grid_ * reduce.in;
    multiply(frame, reduce, operand_of(frame, reduce, features, grid_, row.in), grid_, {row.out, reduce.out});
    normalize(frame, layers_.reduce_norm, row.out, grid_, out);
  }

  void smooth_row(const Frame& frame, const ConstRows& padded, float* row, std::int64_t y) const {
    const std::int64_t channels = layers_.smooth.out;
    multiply(frame, layers_.smooth, padded, grid_, {row, channels});
    normalize(frame, layers_.smooth_norm, row, grid_, {row, channels});
    for (std::int64_t c = 0; c < channels; ++c) {
      for (std::int64_t x = 0; x < grid_; ++x) frame.output()[(c * grid_ + y) * grid_ + x] = row[x * channels + c];
    }
  }

  [[nodiscard]] std::int64_t side() const { return grid_ + 2; }
  [[nodiscard]] std::int64_t padded_elements() const { return (side() * side() + kBlock) * layers_.smooth.in; }

  NeckLayers layers_;
  std::int64_t grid_;
};

}  // namespace

PassPtr make_neck(NeckLayers layers, std::int64_t grid) { return std::make_unique<Neck>(std::move(layers), grid); }

}  // namespace medsam::backends::native
