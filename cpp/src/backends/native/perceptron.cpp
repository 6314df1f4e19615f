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
  Perceptron(PerceptronLayers layers, std::int64_t grid)
      : layers_(std::move(layers)), grid_(grid), rows_(std::max<std::int64_t>(1, kPerceptronTokens / grid)) {}

  [[nodiscard]] Footprint footprint() const override {
    Carver carver(nullptr);
    take(carver);
    return {layers_.depthwise.bytes() + layers_.fc1.bytes() + layers_.fc2.bytes(), size(grid_ * grid_ * layers_.fc1.in),
            carver.used()};
  }

  void run(Frame& frame) const override {
    frame.for_pieces((grid_ + rows_ - 1) / rows_, [&](std::int64_t piece, Carver& carver) {
      run_rows(frame, take(carver), piece * rows_, std::min(grid_, (piece + 1) * rows_));
    });
    frame.advance();
  }

 private:
  struct Buffers {
    float* tokens;
    Rows normalized, hidden;
  };

  Buffers take(Carver& carver) const {
    const std::int64_t tokens = rows_ * grid_;
    Buffers buffers{};
    buffers.tokens = carver.take<float>(size(tokens * layers_.fc1.in));
    buffers.normalized = take_rows_for(layers_.fc1, tokens, carver);
    buffers.hidden = take_rows_for(layers_.fc2, tokens, carver);
    return buffers;
  }

  void run_rows(const Frame& frame, const Buffers& buffers, std::int64_t first, std::int64_t last) const {
    const std::int64_t channels = layers_.fc1.in, tokens = (last - first) * grid_;
    const auto row_of = [&](std::int64_t y) { return frame.features() + y * grid_ * channels; };
    for (std::int64_t y = first; y < last; ++y) {
      convolve(frame, layers_.depthwise, y, grid_, grid_, 1, Gelu::no, row_of,
               {buffers.tokens + (y - first) * grid_ * channels, channels});
    }
    normalize(frame, norm_, buffers.tokens, tokens, buffers.normalized);
    multiply(frame, layers_.fc1, buffers.normalized, tokens, buffers.hidden, {.gelu = true});
    multiply(frame, layers_.fc2, buffers.hidden, tokens, {frame.next() + first * grid_ * channels, channels},
             {.residual = ConstRows(buffers.tokens, channels)});
  }

  PerceptronLayers layers_;
  Norm norm_{kLayerNormEpsilon, {}, {}};  // its weights are folded into fc1
  std::int64_t grid_, rows_;
};

}  // namespace

PassPtr make_perceptron(PerceptronLayers layers, std::int64_t grid) {
  return std::make_unique<Perceptron>(std::move(layers), grid);
}

}  // namespace medsam::backends::native
