// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// 1x1 convolution with a layer norm behind it, and the output in the graph's order of axes.
#include <utility>

#include "backends/native/passes.hpp"

namespace medsam::backends::native {

namespace {

class Projection final : public Pass {
 public:
  Projection(Linear layer, Norm norm, std::int64_t grid)
      : layer_(std::move(layer)), norm_(std::move(norm)), grid_(grid) {}

  [[nodiscard]] Footprint footprint() const override {
    Carver carver(nullptr);
    take(carver);
    return {layer_.bytes() + norm_.bytes(), size(grid_ * grid_ * layer_.in), carver.used()};
  }

  void run(Frame& frame) const override {
    frame.for_pieces(grid_, [&](std::int64_t y, Carver& carver) {
      const Buffers buffers = take(carver);
      const float* features = frame.features() + y * grid_ * layer_.in;
      const std::int64_t channels = layer_.out;
      const Rows row(buffers.row, channels);
      multiply(frame, layer_, operand_of(frame, layer_, features, grid_, buffers.rounded), grid_, row);
      normalize(frame, norm_, buffers.row, grid_, row);
      for (std::int64_t c = 0; c < channels; ++c) {
        for (std::int64_t x = 0; x < grid_; ++x) {
          frame.output()[(c * grid_ + y) * grid_ + x] = buffers.row[x * channels + c];
        }
      }
    });
  }

 private:
  struct Buffers {
    Rows rounded;
    float* row;
  };
  Buffers take(Carver& carver) const {
    return {take_rows_for(layer_, grid_, carver), carver.take<float>(size(grid_ * layer_.out))};
  }

  Linear layer_;
  Norm norm_;
  std::int64_t grid_;
};

}  // namespace

PassPtr make_projection(Linear layer, Norm norm, std::int64_t grid) {
  return std::make_unique<Projection>(std::move(layer), std::move(norm), grid);
}

}  // namespace medsam::backends::native
