// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Two 1x1 convolutions of an image's three planes.
#include <utility>

#include "backends/native/passes.hpp"

namespace medsam::backends::native {

namespace {

// A divisor of every image, whose side is a multiple of 32. 64, 256 and 1024 took the same time (3.5 ms of LiteMedSAM's
// encode on a core of Zen 5): any number does whose 64 KiB stay near the core and whose pieces outlast the pool's lock.
constexpr std::int64_t kPatchPixels = 256;

class PatchEmbed final : public Pass {
 public:
  PatchEmbed(PatchEmbedLayers layers, std::int64_t side) : layers_(std::move(layers)), pixels_(side * side) {}

  [[nodiscard]] Footprint footprint() const override {
    Carver carver(nullptr);
    take(carver);
    return {bytes(layers_.planes_weight) + bytes(layers_.planes_bias) + layers_.linear.bytes(),
            size(pixels_ * layers_.linear.out), carver.used()};
  }

  void run(Frame& frame) const override {
    const Linear& linear = layers_.linear;
    frame.for_pieces(pixels_ / kPatchPixels, [&](std::int64_t piece, Carver& carver) {
      const Buffers buffers = take(carver);
      const std::int64_t first = piece * kPatchPixels;
      const float* image = frame.input() + first;
      const float* planes[3] = {image, image + pixels_, image + 2 * pixels_};
      frame.kernels().expand_planes(planes, 3, kPatchPixels, layers_.planes_weight.data(), layers_.planes_bias.data(),
                                    linear.in, buffers.hidden);
      multiply(frame, linear, operand_of(frame, linear, buffers.hidden, kPatchPixels, buffers.rounded), kPatchPixels,
               {frame.next() + first * linear.out, linear.out});
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

  PatchEmbedLayers layers_;
  std::int64_t pixels_;
};

}  // namespace

PassPtr make_patch_embed(PatchEmbedLayers layers, std::int64_t side) {
  return std::make_unique<PatchEmbed>(std::move(layers), side);
}

}  // namespace medsam::backends::native
