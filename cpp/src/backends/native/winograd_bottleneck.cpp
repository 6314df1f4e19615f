// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// 3x3 and 1x1 convolution, the first by Winograd's F(2x2, 3x3): some of its channels after the other, so that the
// sums of all 16 elements of the tiles stay in cache until they are pixels.
#include <algorithm>
#include <utility>

#include "backends/native/passes.hpp"

namespace medsam::backends::native {

namespace {

constexpr std::int64_t kElements = 16;
// Two blocks of a product's rows.
constexpr std::int64_t kTiles = 64;

class WinogradBottleneck final : public Pass {
 public:
  WinogradBottleneck(WinogradBottleneckLayers layers, std::int64_t grid)
      : layers_(std::move(layers)), grid_(grid), band_(std::clamp<std::int64_t>(2 * kTiles / grid, 1, grid / 2)) {}

  [[nodiscard]] Footprint footprint() const override {
    Carver carver(nullptr);
    take(carver);
    std::size_t weights = layers_.project.bytes();
    for (const auto& part : layers_.parts) {
      weights += bytes(part.bias);
      for (const Linear& product : part.products) weights += product.bytes();
    }
    return {weights, size(grid_ * grid_ * std::max(first().in, layers_.project.out)), carver.used()};
  }

  void run(Frame& frame) const override {
    const std::int64_t rows = grid_ / 2;  // of tiles
    frame.for_pieces((rows + band_ - 1) / band_, [&](std::int64_t piece, Carver& carver) {
      run_band(frame, take(carver), piece * band_, std::min(rows, (piece + 1) * band_));
    });
    frame.advance();
  }

 private:
  struct Buffers {
    Rows in;      // (16, tiles) rows as left operands, and what a product of the last reads behind them
    float* sums;  // (16, tiles, channels of a part)
    Rows hidden;  // the band's pixels as left operand of project
  };
  /// From one element's rows to the next one's.
  [[nodiscard]] std::int64_t step() const { return band_ * grid_ / 2; }
  Buffers take(Carver& carver) const {
    Buffers buffers{};
    buffers.in = take_rows_for(first(), kElements * step() + kBlock, carver);
    buffers.sums = carver.take<float>(size(kElements * step() * first().out));
    buffers.hidden = take_rows_for(layers_.project, 2 * band_ * grid_, carver);
    return buffers;
  }

  /// Rows of tiles from `top` to `bottom` - 1.
  void run_band(const Frame& frame, const Buffers& buffers, std::int64_t top, std::int64_t bottom) const {
    for (std::int64_t row = top; row < bottom; ++row) transform(frame, row, buffers.in.from((row - top) * grid_ / 2));
    const std::int64_t tiles = (bottom - top) * grid_ / 2;
    std::int64_t channel = 0;
    for (const auto& part : layers_.parts) {
      for (std::int64_t e = 0; e < kElements; ++e) {
        const Linear& product = part.products[size(e)];
        multiply(frame, product, buffers.in.from(e * step()), tiles,
                 {buffers.sums + e * step() * product.out, product.out});
      }
      for (std::int64_t row = 0; row < bottom - top; ++row) finish(frame, part, buffers, row, channel);
      channel += part.products.front().out;
    }
    const std::int64_t pixel = 2 * top * grid_, in = first().in, out = layers_.project.out;
    Epilogue then;
    if (layers_.residual) then.residual = ConstRows(frame.features() + pixel * in, in);
    multiply(frame, layers_.project, buffers.hidden, 4 * tiles, {frame.next() + pixel * out, out}, then);
  }

  void transform(const Frame& frame, std::int64_t row, const Rows& out) const {
    kernels::WinogradInputParams params;
    for (std::int64_t r = 0; r < 4; ++r) {
      const std::int64_t y = 2 * row - 1 + r;
      params.rows[r] = y < 0 || y >= grid_ ? nullptr : frame.features() + y * grid_ * first().in;
    }
    params.width = grid_;
    params.channels = first().in;
    params.step = step();
    params.out = out;
    frame.kernels().winograd_input(params);
  }

  /// A row of tiles, of the band's, becomes two rows of pixels from `channel` on.
  void finish(const Frame& frame, const WinogradBottleneckLayers::Part& part, const Buffers& buffers, std::int64_t row,
              std::int64_t channel) const {
    kernels::WinogradOutputParams params;
    params.channels = part.products.front().out;
    params.tiles = grid_ / 2;
    params.step = step();
    params.sums = buffers.sums + row * params.tiles * params.channels;
    params.bias = part.bias.empty() ? nullptr : part.bias.data();
    for (std::int64_t y = 0; y < 2; ++y) params.out[y] = pixels(buffers.hidden, (2 * row + y) * grid_, channel);
    frame.kernels().winograd_output(params);
  }

  static Rows pixels(const Rows& rows, std::int64_t first, std::int64_t channel) {
    return rows.format() == Format::bf16 ? Rows(rows.at<Bf16>(first, channel), rows.channels(), rows.stride())
                                         : Rows(rows.at<float>(first, channel), rows.channels(), rows.stride());
  }

  [[nodiscard]] const Linear& first() const { return layers_.parts.front().products.front(); }

  WinogradBottleneckLayers layers_;
  std::int64_t grid_, band_;  // band_: rows of tiles that are one piece of work
};

}  // namespace

PassPtr make_winograd_bottleneck(WinogradBottleneckLayers layers, std::int64_t grid) {
  return std::make_unique<WinogradBottleneck>(std::move(layers), grid);
}

}  // namespace medsam::backends::native
