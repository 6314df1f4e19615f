// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// 3x3 and 1x1 convolution over bands of rows: of the wide rows between them a thread holds one.
#include <algorithm>
#include <utility>

#include "backends/native/padded_rows.hpp"
#include "backends/native/passes.hpp"

namespace medsam::backends::native {

namespace {

// Of the rows that a piece of work copies, two are not its own.
constexpr std::int64_t kRows = 4;

class FusedBottleneck final : public Pass {
 public:
  FusedBottleneck(FusedBottleneckLayers layers, std::int64_t grid) : layers_(std::move(layers)), width_(grid) {}

  [[nodiscard]] Footprint footprint() const override {
    Carver carver(nullptr);
    take(carver);
    const std::int64_t in = width_ * width_ * layers_.spatial.in, out = out_width() * out_width() * layers_.project.out;
    return {layers_.spatial.bytes() + layers_.project.bytes(), size(std::max(in, out)), carver.used()};
  }

  void run(Frame& frame) const override {
    frame.for_pieces((out_width() + kRows - 1) / kRows, [&](std::int64_t piece, Carver& carver) {
      Buffers buffers = take(carver);
      run_band(frame, buffers, piece * kRows, std::min(out_width(), (piece + 1) * kRows));
    });
    frame.advance();
  }

 private:
  struct Buffers {
    PaddedRows in;
    Rows hidden;  // a row of the output
  };
  Buffers take(Carver& carver) const {
    return {PaddedRows(kRows, width_, layers_.stride, layers_.spatial, carver),
            take_rows_for(layers_.project, out_width(), carver)};
  }

  void run_band(const Frame& frame, Buffers& buffers, std::int64_t first, std::int64_t last) const {
    const Linear &spatial = layers_.spatial, &project = layers_.project;
    buffers.in.fill(frame, frame.features(), width_, first, last);
    for (std::int64_t y = first; y < last; ++y) {
      multiply(frame, spatial, buffers.in.row(y), out_width(), buffers.hidden, {.tanh_gelu = true});
      Epilogue then;
      if (layers_.residual) then.residual = ConstRows(frame.features() + y * width_ * spatial.in, spatial.in);
      multiply(frame, project, buffers.hidden, out_width(), {frame.next() + y * out_width() * project.out, project.out},
               then);
    }
  }

  [[nodiscard]] std::int64_t out_width() const { return width_ / layers_.stride; }

  FusedBottleneckLayers layers_;
  std::int64_t width_;
};

}  // namespace

PassPtr make_fused_bottleneck(FusedBottleneckLayers layers, std::int64_t grid) {
  return std::make_unique<FusedBottleneck>(std::move(layers), grid);
}

}  // namespace medsam::backends::native
