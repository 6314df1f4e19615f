// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// 3x3 convolution of stride 2 of an image's three planes: its 27 taps, and zeros, are the 32 elements of a product.
#include <algorithm>
#include <utility>

#include "backends/native/passes.hpp"

namespace medsam::backends::native {

namespace {

class Stem final : public Pass {
 public:
  Stem(Linear layer, std::int64_t side) : layer_(std::move(layer)), side_(side) {}

  [[nodiscard]] Footprint footprint() const override {
    Carver carver(nullptr);
    take(carver);
    return {layer_.bytes(), size(width() * width() * layer_.out), carver.used()};
  }

  void run(Frame& frame) const override {
    frame.for_pieces(width(), [&](std::int64_t y, Carver& carver) {
      const Buffers buffers = take(carver);
      gather(frame.input(), y, buffers.taps);
      multiply(frame, layer_, operand_of(frame, layer_, buffers.taps, width(), buffers.rounded), width(),
               {frame.next() + y * width() * layer_.out, layer_.out}, {.tanh_gelu = true});
    });
    frame.advance();
  }

 private:
  struct Buffers {
    float* taps;  // (pixels of a row of the output, 32)
    Rows rounded;
  };
  Buffers take(Carver& carver) const {
    const std::int64_t pixels = (width() + kBlock - 1) / kBlock * kBlock;
    return {carver.take<float>(size(pixels * kBlock)), take_rows_for(layer_, width(), carver)};
  }

  void gather(const float* image, std::int64_t y, float* taps) const {
    std::fill(taps, taps + width() * kBlock, 0.F);
    for (std::int64_t r = 0; r < 3; ++r) {
      const std::int64_t row = 2 * y + r - 1;
      if (row < 0 || row >= side_) continue;
      for (std::int64_t plane = 0; plane < 3; ++plane) {
        const float* pixels = image + (plane * side_ + row) * side_;
        for (std::int64_t c = 0; c < 3; ++c) {
          float* to = taps + (3 * r + c) * 3 + plane;
          for (std::int64_t x = c == 0 ? 1 : 0; x < width(); ++x) to[x * kBlock] = pixels[2 * x + c - 1];
        }
      }
    }
  }

  [[nodiscard]] std::int64_t width() const { return side_ / 2; }

  Linear layer_;
  std::int64_t side_;
};

}  // namespace

PassPtr make_stem(Linear layer, std::int64_t side) { return std::make_unique<Stem>(std::move(layer), side); }

}  // namespace medsam::backends::native
