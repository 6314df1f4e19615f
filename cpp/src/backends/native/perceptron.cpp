// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Depthwise convolution, norm and perceptron of some rows in one piece of work: the wide hidden layer never leaves
// cache.
#include <algorithm>
#include <utility>

#include "backends/native/passes.hpp"

namespace medsam::backends::native {

namespace {

// Four blocks of a product's rows, so that the matrices are read once for 128 tokens; and few enough that the hidden
// layer stays in cache: of LiteMedSAM's widest block, 1280 channels in bf16, it takes 320 KiB. 64 and 256 tokens took
// the same time (docs/lab_notes.md).
constexpr std::int64_t kPerceptronTokens = 128;

class Perceptron final : public Pass {
 public:
  Perceptron(PerceptronLayers layers, std::int64_t grid) : layers_(std::move(layers)), grid_(grid) {}

  [[nodiscard]] Footprint footprint() const override {
    Carver carver(nullptr);
    take(carver);
    return {layers_.depthwise.bytes() + layers_.fc1.bytes() + layers_.fc2.bytes(), size(grid_ * grid_ * layers_.fc1.in),
            carver.used()};
  }

  [[nodiscard]] Locality locality() const override { return {.window = 1, .radius = 1, .channels = layers_.fc1.in}; }

  void run(Frame& frame) const override {
    const std::int64_t width = frame.side(grid_);
    const Region region = frame.region(width);
    const std::int64_t rows =
        std::max<std::int64_t>(1, kPerceptronTokens / std::max<std::int64_t>(1, region.columns.length()));
    frame.for_pieces((region.rows.length() + rows - 1) / rows, [&](std::int64_t piece, Carver& carver) {
      const std::int64_t first = region.rows.begin + piece * rows;
      run_rows(frame, take(carver), width, {{first, std::min(region.rows.end, first + rows)}, region.columns});
    });
    frame.advance();
  }

 private:
  struct Buffers {
    float* tokens;
    Rows normalized, hidden;
  };

  Buffers take(Carver& carver) const {
    // The last block of a row's tokens may begin anywhere and is read to its end.
    const std::int64_t tokens = std::max(kPerceptronTokens, grid_) + kBlock;
    Buffers buffers{};
    buffers.tokens = carver.take<float>(size(tokens * layers_.fc1.in));
    buffers.normalized = take_rows_for(layers_.fc1, tokens, carver);
    buffers.hidden = take_rows_for(layers_.fc2, tokens, carver);
    return buffers;
  }

  /// Some rows of a part of a grid `width` wide.
  void run_rows(const Frame& frame, const Buffers& buffers, std::int64_t width, const Region& part) const {
    const std::int64_t channels = layers_.fc1.in, columns = part.columns.length();
    const std::int64_t tokens = part.rows.length() * columns;
    const Rows rows(buffers.tokens, channels);
    const auto row_of = [&](std::int64_t y) { return frame.features() + y * width * channels; };
    for (std::int64_t y = part.rows.begin; y < part.rows.end; ++y) {
      convolve(frame, layers_.depthwise, y, width, width, 1, Gelu::no, row_of,
               rows.from((y - part.rows.begin) * columns), part.columns);
    }
    normalize(frame, norm_, buffers.tokens, tokens, buffers.normalized);
    multiply(frame, layers_.fc1, buffers.normalized, tokens, buffers.hidden, {.gelu = true});
    for (std::int64_t y = part.rows.begin; y < part.rows.end; ++y) {
      const std::int64_t first = (y - part.rows.begin) * columns;
      float* out = frame.next() + (y * width + part.columns.begin) * channels;
      multiply(frame, layers_.fc2, buffers.hidden.from(first), columns, {out, channels},
               {.residual = rows.from(first)});
    }
  }

  PerceptronLayers layers_;
  Norm norm_{kLayerNormEpsilon, {}, {}};  // its weights are folded into fc1
  std::int64_t grid_;
};

}  // namespace

PassPtr make_perceptron(PerceptronLayers layers, std::int64_t grid) {
  return std::make_unique<Perceptron>(std::move(layers), grid);
}

}  // namespace medsam::backends::native
