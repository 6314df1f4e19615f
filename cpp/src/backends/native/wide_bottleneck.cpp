// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// 1x1, depthwise 3x3 and 1x1 convolution of so many channels between them that a band of rows is computed a part of
// the channels at a time: each part's matrices are read once for all of its pixels.
#include <algorithm>
#include <utility>

#include "backends/native/passes.hpp"

namespace medsam::backends::native {

namespace {

/// Rows of the output that are one piece of work: what was sized for, or fewer, so that every thread has one, but no
/// fewer than four, since two rows of the input, or one, are expanded by both bands that meet there.
std::int64_t band_rows(std::int64_t most, std::int64_t rows, std::size_t threads) {
  const auto bands = static_cast<std::int64_t>(threads);
  return std::min(most, std::max<std::int64_t>(4, (rows + bands - 1) / bands));
}

class WideBottleneck final : public Pass {
 public:
  WideBottleneck(WideBottleneckLayers layers, std::int64_t grid)
      : layers_(std::move(layers)), width_(grid), most_rows_(wide_bottleneck_rows(grid / layers_.stride)) {}

  [[nodiscard]] Footprint footprint() const override {
    Carver carver(nullptr);
    take(carver);
    std::size_t weights = 0;
    for (const WideBottleneckPart& part : layers_.parts) {
      weights += part.expand.bytes() + part.depthwise.bytes() + part.project.bytes();
    }
    const std::int64_t in = width_ * width_ * expand().in, out = out_width() * out_width() * project().out;
    return {weights, size(std::max(in, out)), carver.used()};
  }

  void run(Frame& frame) const override {
    const std::int64_t rows = band_rows(most_rows_, out_width(), frame.threads());
    frame.for_pieces((out_width() + rows - 1) / rows, [&](std::int64_t band, Carver& carver) {
      run_band(frame, take(carver), band * rows, std::min(out_width(), (band + 1) * rows));
    });
    frame.advance();
  }

 private:
  struct Buffers {
    Rows in, out;   // the band's rows as left operand of expand, of project
    float* hidden;  // after expand
  };

  Buffers take(Carver& carver) const {
    const std::int64_t read = std::min(width_, (most_rows_ - 1) * layers_.stride + 3) * width_;
    Buffers buffers{};
    buffers.in = take_rows_for(expand(), read, carver);
    buffers.out = take_rows_for(project(), most_rows_ * out_width(), carver);
    buffers.hidden = carver.take<float>(size(read * expand().out));
    return buffers;
  }

  /// Rows first to last - 1 of the output.
  void run_band(const Frame& frame, const Buffers& buffers, std::int64_t first, std::int64_t last) const {
    const std::int64_t stride = layers_.stride, top = std::max<std::int64_t>(0, first * stride - 1),
                       bottom = std::min(width_, (last - 1) * stride + 2), channels = expand().in;
    const std::int64_t read = (bottom - top) * width_, written = (last - first) * out_width();
    const ConstRows in = operand_of(frame, expand(), frame.features() + top * width_ * channels, read, buffers.in);
    const Rows out(frame.next() + first * out_width() * project().out, project().out);
    // The first part adds to the features, or to nothing; the others to what was there before them.
    Epilogue then;
    if (layers_.residual) then.residual = ConstRows(frame.features() + first * width_ * channels, channels);
    for (const WideBottleneckPart& part : layers_.parts) {
      const std::int64_t hidden = part.expand.out;
      multiply(frame, part.expand, in, read, {buffers.hidden, hidden}, {.tanh_gelu = true});
      const auto row_of = [&](std::int64_t y) { return buffers.hidden + (y - top) * width_ * hidden; };
      const Rows left = with_channels(buffers.out, hidden);
      for (std::int64_t y = first; y < last; ++y) {
        convolve(frame, part.depthwise, y, width_, width_, stride, Gelu::by_tanh, row_of,
                 left.from((y - first) * out_width()));
      }
      multiply(frame, part.project, left, written, out, then);
      then.residual = out;
    }
  }

  /// The same memory, for rows of so many channels: a last part may have fewer.
  static Rows with_channels(const Rows& rows, std::int64_t channels) {
    return rows.format() == Format::bf16 ? Rows(rows.at<Bf16>(0), channels) : Rows(rows.at<float>(0), channels);
  }

  [[nodiscard]] const Linear& expand() const { return layers_.parts.front().expand; }
  [[nodiscard]] const Linear& project() const { return layers_.parts.front().project; }
  [[nodiscard]] std::int64_t out_width() const { return width_ / layers_.stride; }

  WideBottleneckLayers layers_;
  std::int64_t width_, most_rows_;
};

}  // namespace

std::int64_t wide_bottleneck_rows(std::int64_t out_width) {
  constexpr std::int64_t kPixels = 512;
  return std::min(out_width, std::max<std::int64_t>(4, kPixels / out_width));
}

std::int64_t wide_bottleneck_part(std::int64_t grid, std::int64_t stride) {
  constexpr std::int64_t kHiddenFloats = 1 << 18, kWidest = 512;
  const std::int64_t read = ((wide_bottleneck_rows(grid / stride) - 1) * stride + 3) * grid;
  return std::clamp(kHiddenFloats / read / kBlock * kBlock, kBlock, kWidest);
}

PassPtr make_wide_bottleneck(WideBottleneckLayers layers, std::int64_t grid) {
  return std::make_unique<WideBottleneck>(std::move(layers), grid);
}

}  // namespace medsam::backends::native
