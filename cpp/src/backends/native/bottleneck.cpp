// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// 1x1, depthwise 3x3 and 1x1 convolution over bands of rows: of the wide rows between them a thread holds three.
#include <algorithm>
#include <utility>

#include "backends/native/passes.hpp"

namespace medsam::backends::native {

namespace {

/// Rows of the output that are one piece of work. Where two bands meet, two rows of the input are expanded by both, so
/// bands are few; but four for each thread, so that none waits long for the last, and of four rows at least, which
/// bounds what is expanded twice to half.
std::int64_t band_rows(std::int64_t rows, std::size_t threads) {
  const std::int64_t bands = threads == 1 ? 1 : static_cast<std::int64_t>(threads) * 4;
  return std::max<std::int64_t>(4, (rows + bands - 1) / bands);
}

class Bottleneck final : public Pass {
 public:
  Bottleneck(BottleneckLayers layers, std::int64_t grid) : layers_(std::move(layers)), width_(grid) {}

  [[nodiscard]] Footprint footprint() const override {
    Carver carver(nullptr);
    take(carver);
    const std::int64_t in = width_ * width_ * layers_.expand.in, out = out_width() * out_width() * layers_.project.out;
    return {layers_.expand.bytes() + layers_.project.bytes() + layers_.depthwise.bytes(), size(std::max(in, out)),
            carver.used()};
  }

  [[nodiscard]] Locality locality() const override {
    return {.window = 1, .radius = 1, .stride = layers_.stride, .channels = layers_.project.out};
  }

  void run(Frame& frame) const override {
    const std::int64_t width = frame.side(width_);
    const Region region = frame.region(width / layers_.stride);
    const std::int64_t rows = band_rows(region.rows.length(), frame.threads());
    frame.for_pieces((region.rows.length() + rows - 1) / rows, [&](std::int64_t band, Carver& carver) {
      const std::int64_t first = region.rows.begin + band * rows;
      run_band(frame, take(carver), width, {{first, std::min(region.rows.end, first + rows)}, region.columns});
    });
    frame.advance();
  }

 private:
  struct Buffers {
    Rows in, out;      // a row as left operand of expand, of project
    float* hidden[3];  // the last three rows after expand
  };

  Buffers take(Carver& carver) const {
    Buffers buffers{};
    buffers.in = take_rows_for(layers_.expand, width_, carver);
    buffers.out = take_rows_for(layers_.project, width_, carver);
    for (float*& row : buffers.hidden) row = carver.take<float>(size(width_ * layers_.expand.out));
    return buffers;
  }

  /// A part of the output, of a grid `width` wide.
  void run_band(const Frame& frame, const Buffers& buffers, std::int64_t width, const Region& band) const {
    const Linear &expand = layers_.expand, &project = layers_.project;
    const Region read = locality().read(band, width);
    const std::int64_t columns = read.columns.length(), out_width = width / layers_.stride;
    const auto row_of = [&](std::int64_t y, std::int64_t x) { return frame.features() + (y * width + x) * expand.in; };
    const auto hidden_of = [&](std::int64_t y) { return buffers.hidden[y % 3]; };
    std::int64_t expanded = read.rows.begin;
    for (std::int64_t y = band.rows.begin; y < band.rows.end; ++y) {
      for (; expanded <= std::min(width - 1, y * layers_.stride + 1); ++expanded) {
        const float* row = row_of(expanded, read.columns.begin);
        multiply(frame, expand, operand_of(frame, expand, row, columns, buffers.in), columns,
                 {hidden_of(expanded) + read.columns.begin * expand.out, expand.out}, {.gelu = true});
      }
      convolve(frame, layers_.depthwise, y, width, width, layers_.stride, Gelu::yes, hidden_of, buffers.out,
               band.columns);
      Epilogue then;
      if (layers_.residual)
        then = {.residual = ConstRows(row_of(y, band.columns.begin), expand.in), .gelu_after = true};
      float* out = frame.next() + (y * out_width + band.columns.begin) * project.out;
      multiply(frame, project, buffers.out, band.columns.length(), {out, project.out}, then);
    }
  }

  [[nodiscard]] std::int64_t out_width() const { return width_ / layers_.stride; }

  BottleneckLayers layers_;
  std::int64_t width_;
};

}  // namespace

PassPtr make_bottleneck(BottleneckLayers layers, std::int64_t grid) {
  return std::make_unique<Bottleneck>(std::move(layers), grid);
}

}  // namespace medsam::backends::native
