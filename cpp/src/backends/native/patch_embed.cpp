// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Two 1x1 convolutions of an image's three planes.
#include <algorithm>
#include <utility>

#include "backends/native/passes.hpp"

namespace medsam::backends::native {

namespace {

// At most so many pixels of a row at a time. 64, 256 and 1024 took the same time (3.5 ms of LiteMedSAM's encode on a
// core of Zen 5): any number does whose 64 KiB stay near the core and whose pieces outlast the pool's lock.
constexpr std::int64_t kPatchPixels = 256;

class PatchEmbed final : public Pass {
 public:
  PatchEmbed(PatchEmbedLayers layers, std::int64_t side) : layers_(std::move(layers)), side_(side) {}

  [[nodiscard]] Footprint footprint() const override {
    Carver carver(nullptr);
    take(carver);
    return {bytes(layers_.planes_weight) + bytes(layers_.planes_bias) + layers_.linear.bytes(),
            size(side_ * side_ * layers_.linear.out), carver.used()};
  }

  [[nodiscard]] Locality locality() const override { return {.window = 1, .channels = layers_.linear.out}; }

  void run(Frame& frame) const override {
    const std::int64_t side = frame.side(side_);
    const Region region = frame.region(side);
    frame.for_pieces(region.rows.length(), [&](std::int64_t piece, Carver& carver) {
      const Buffers buffers = take(carver);
      const std::int64_t row = (region.rows.begin + piece) * side;
      for (std::int64_t x = region.columns.begin; x < region.columns.end; x += kPatchPixels) {
        run_pixels(frame, buffers, side * side, row + x, std::min(kPatchPixels, region.columns.end - x));
      }
    });
    frame.advance();
  }

 private:
  struct Buffers {
    float* hidden;
    Rows rounded;
  };
  Buffers take(Carver& carver) const {
    return {carver.take<float>(size(kPatchPixels * layers_.linear.in)),
            take_rows_for(layers_.linear, kPatchPixels, carver)};
  }

  /// `count` pixels from `first` on, of planes of `plane`.
  void run_pixels(const Frame& frame, const Buffers& buffers, std::int64_t plane, std::int64_t first,
                  std::int64_t count) const {
    const Linear& linear = layers_.linear;
    const float* image = frame.input() + first;
    const float* planes[3] = {image, image + plane, image + 2 * plane};
    frame.kernels().expand_planes(planes, 3, count, layers_.planes_weight.data(), layers_.planes_bias.data(), linear.in,
                                  buffers.hidden);
    multiply(frame, linear, operand_of(frame, linear, buffers.hidden, count, buffers.rounded), count,
             {frame.next() + first * linear.out, linear.out});
  }

  PatchEmbedLayers layers_;
  std::int64_t side_;
};

}  // namespace

PassPtr make_patch_embed(PatchEmbedLayers layers, std::int64_t side) {
  return std::make_unique<PatchEmbed>(std::move(layers), side);
}

}  // namespace medsam::backends::native
