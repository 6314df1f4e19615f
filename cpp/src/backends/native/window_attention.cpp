// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Window attention: norm, projections, attention and output projection of a group of windows in one piece of work.
#include <algorithm>
#include <utility>

#include "backends/native/passes.hpp"

namespace medsam::backends::native {

namespace {

class WindowAttention final : public Pass {
 public:
  WindowAttention(AttentionLayers layers, std::int64_t grid) : layers_(std::move(layers)), grid_(grid) {
    // A token of zeros stays one when it is normalized: its key and value are the biases.
    const std::int64_t channels = layers_.qkv.in;
    const float* biases = layers_.qkv.bias.data() + channels;
    padding_ = ConstRows(biases, channels);
    if (layers_.qkv.matrix.format() == Format::bf16) {
      rounded_padding_.resize(size(2 * channels));
      // By the processor's best, whatever target is chosen.
      kernels::available_encoder_targets().back()->round(biases, rounded_padding_.data(), 2 * channels);
      padding_ = ConstRows(rounded_padding_.data(), channels);
    }
  }

  [[nodiscard]] Footprint footprint() const override {
    Carver carver(nullptr);
    take(carver);
    return {layers_.qkv.bytes() + layers_.proj.bytes() + layers_.windows.bytes() +
                rounded_padding_.capacity() * sizeof(Bf16),
            size(grid_ * grid_ * layers_.qkv.in), carver.used()};
  }

  [[nodiscard]] Locality locality() const override {
    return {.window = layers_.windows.window, .channels = layers_.qkv.in};
  }

  void run(Frame& frame) const override {
    const std::int64_t width = frame.side(grid_);
    const WindowGroups groups(layers_.windows, width, frame.region(width));
    frame.for_pieces(groups.count(),
                     [&](std::int64_t piece, Carver& carver) { run_group(frame, take(carver), width, groups, piece); });
  }

 private:
  struct Buffers {
    Rows normalized, qkv, attended;
    float* added;
    void* attention;
  };

  Buffers take(Carver& carver) const {
    Buffers buffers{};
    // A window's last block of rows may begin anywhere and reads kBlock of them.
    const std::int64_t rows = layers_.windows.most_tokens() + kBlock;
    buffers.added = carver.take<float>(size(rows * layers_.proj.out));
    buffers.normalized = take_rows_for(layers_.qkv, rows, carver);
    buffers.qkv = take_rows(layers_.qkv.matrix.format(), rows, layers_.qkv.out, carver);
    buffers.attended = take_rows_for(layers_.proj, rows, carver);
    buffers.attention = carver.take<std::byte>(kernels::attention_scratch(layers_.windows.longest_key_stride()));
    return buffers;
  }

  void run_group(const Frame& frame, const Buffers& buffers, std::int64_t width, const WindowGroups& groups,
                 std::int64_t group) const {
    const std::int64_t channels = layers_.qkv.in;
    std::int64_t tokens = 0;
    for_rows(frame, width, groups, group, [&](const float* row, std::int64_t first, std::int64_t count) {
      normalize(frame, norm_, row, count, buffers.normalized.from(first));
      tokens += count;
    });
    multiply(frame, layers_.qkv, buffers.normalized, tokens, buffers.qkv);
    std::int64_t first = 0;
    groups.for_windows(group, [&](const Window& window) {
      attend(frame, window.kind, buffers, first);
      first += window.kind.tokens();
    });
    multiply(frame, layers_.proj, buffers.attended, tokens, {buffers.added, channels});
    for_rows(frame, width, groups, group, [&](float* row, std::int64_t at, std::int64_t count) {
      frame.kernels().add(buffers.added + at * channels, row, count * channels);
    });
  }

  /// Of the window whose tokens begin at `first` of the group's.
  void attend(const Frame& frame, const WindowKind& kind, const Buffers& buffers, std::int64_t first) const {
    kernels::AttentionParams params;
    params.qkv = buffers.qkv.from(first);
    params.tokens = kind.tokens();
    params.heads = layers_.heads;
    if (kind.cut) params.padding = padding_;
    params.bias = kind.bias.data();
    params.key_stride = kind.key_stride;
    params.out = buffers.attended.from(first);
    params.scratch = buffers.attention;
    frame.kernels().attention(params);
  }

  /// Calls f(a row of a window's tokens in the features, its first one's place in the group, how many they are).
  template <class F>
  void for_rows(const Frame& frame, std::int64_t width, const WindowGroups& groups, std::int64_t group,
                const F& f) const {
    std::int64_t at = 0;
    groups.for_windows(group, [&](const Window& window) {
      for (std::int64_t y = 0; y < window.kind.height; ++y) {
        f(frame.features() + ((window.y + y) * width + window.x) * layers_.qkv.in, at, window.kind.width);
        at += window.kind.width;
      }
    });
  }

  AttentionLayers layers_;
  Norm norm_{kLayerNormEpsilon, {}, {}};  // its weights are folded into qkv
  std::vector<Bf16> rounded_padding_;
  ConstRows padding_;  // (2, channels)
  std::int64_t grid_;
};

}  // namespace

PassPtr make_window_attention(AttentionLayers layers, std::int64_t grid) {
  return std::make_unique<WindowAttention>(std::move(layers), grid);
}

}  // namespace medsam::backends::native
