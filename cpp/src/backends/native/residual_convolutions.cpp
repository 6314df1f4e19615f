// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Two 3x3 convolutions with a residual connection, in two loops over the rows.
#include <algorithm>
#include <utility>

#include "backends/native/padded_rows.hpp"
#include "backends/native/passes.hpp"

namespace medsam::backends::native {

namespace {

// Of the rows that a piece of work copies, two are not its own.
constexpr std::int64_t kRows = 8;

class ResidualConvolutions final : public Pass {
 public:
  ResidualConvolutions(ResidualConvolutionsLayers layers, std::int64_t grid)
      : layers_(std::move(layers)), grid_(grid) {}

  [[nodiscard]] Footprint footprint() const override {
    Carver first(nullptr), second(nullptr);
    take(layers_.first, first);
    take(layers_.second, second);
    return {layers_.first.bytes() + layers_.second.bytes(),
            size(grid_ * grid_ * std::max(layers_.first.in, layers_.first.out)), std::max(first.used(), second.used())};
  }

  void run(Frame& frame) const override {
    convolve_all(frame, layers_.first, frame.features(), frame.next(), {.tanh_gelu = true});
    // A row is added to itself.
    convolve_all(frame, layers_.second, frame.next(), frame.features(),
                 {.residual = ConstRows(frame.features(), layers_.second.out)});
  }

 private:
  PaddedRows take(const Linear& layer, Carver& carver) const { return {kRows, grid_, 1, layer, carver}; }

  void convolve_all(const Frame& frame, const Linear& layer, const float* image, float* out,
                    const Epilogue& then) const {
    frame.for_pieces((grid_ + kRows - 1) / kRows, [&](std::int64_t piece, Carver& carver) {
      PaddedRows rows = take(layer, carver);
      const std::int64_t first = piece * kRows, last = std::min(grid_, first + kRows);
      rows.fill(frame, image, grid_, first, last);
      for (std::int64_t y = first; y < last; ++y) {
        Epilogue of_row = then;
        if (then.residual) of_row.residual = then.residual.from(y * grid_);
        multiply(frame, layer, rows.row(y), grid_, {out + y * grid_ * layer.out, layer.out}, of_row);
      }
    });
  }

  ResidualConvolutionsLayers layers_;
  std::int64_t grid_;
};

}  // namespace

PassPtr make_residual_convolutions(ResidualConvolutionsLayers layers, std::int64_t grid) {
  return std::make_unique<ResidualConvolutions>(std::move(layers), grid);
}

}  // namespace medsam::backends::native
