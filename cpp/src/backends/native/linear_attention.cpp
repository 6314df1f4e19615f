// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Linear attention of two scales: a head's queries, keys and values, its second scale and both attentions are one piece
// of work, and then some tokens of the output projection.
#include <algorithm>
#include <utility>

#include "backends/native/passes.hpp"

namespace medsam::backends::native {

namespace {

constexpr float kEpsilon = 1e-15F;  // ops.py:LiteMLA
constexpr std::int64_t kHead = 3 * kBlock;
// Two blocks of a product's rows, so that a grid of 16 x 16 has enough pieces for the threads.
constexpr std::int64_t kTokens = 64;

class LinearAttention final : public Pass {
 public:
  LinearAttention(LinearAttentionLayers layers, std::int64_t grid)
      : layers_(std::move(layers)), grid_(grid), channels_(layers_.proj.out) {}

  [[nodiscard]] Footprint footprint() const override {
    Carver carver(nullptr), shared(nullptr);
    take(carver);
    take_shared(shared);
    std::size_t weights = layers_.proj.bytes();
    for (const LinearAttentionHead& head : layers_.heads) {
      weights += head.qkv.bytes() + head.scale.bytes();
      for (const Linear& group : head.groups) weights += group.bytes();
    }
    return {weights, (shared.used() + sizeof(float) - 1) / sizeof(float), carver.used()};
  }

  void run(Frame& frame) const override {
    Carver carver(reinterpret_cast<std::byte*>(frame.next()));
    const Shared shared = take_shared(carver);
    const Linear& qkv = layers_.heads.front().qkv;
    const std::int64_t pieces = (tokens() + kTokens - 1) / kTokens;
    ConstRows in(frame.features(), channels_);
    if (qkv.matrix.format() == Format::bf16) {
      in = shared.rounded;
      for_tokens(frame, pieces, [&](std::int64_t first, std::int64_t count) {
        frame.kernels().round(frame.features() + first * channels_, shared.rounded.at<Bf16>(first), count * channels_);
      });
    }
    frame.for_pieces(static_cast<std::int64_t>(layers_.heads.size()),
                     [&](std::int64_t head, Carver& own) { run_head(frame, in, head, take(own), shared.attended); });
    for_tokens(frame, pieces, [&](std::int64_t first, std::int64_t count) {
      const Rows row(frame.features() + first * channels_, channels_);  // added to itself
      multiply(frame, layers_.proj, shared.attended.from(first), count, row, {.residual = row});
    });
  }

 private:
  /// Lies where the next features would.
  struct Shared {
    Rows attended, rounded;
  };
  Shared take_shared(Carver& carver) const {
    return {take_rows_for(layers_.proj, tokens(), carver), take_rows_for(layers_.heads.front().qkv, tokens(), carver)};
  }

  struct Buffers {
    float *qkv, *scaled;  // (tokens, 96)
    Rows convolved;       // (tokens, 96), as left operand of groups
  };
  Buffers take(Carver& carver) const {
    Buffers buffers{};
    buffers.qkv = carver.take<float>(size(tokens() * kHead));
    buffers.scaled = carver.take<float>(size(tokens() * kHead));
    buffers.convolved = take_rows(layers_.heads.front().groups[0].matrix.format(), tokens(), kHead, carver);
    return buffers;
  }

  template <class Body>
  void for_tokens(const Frame& frame, std::int64_t pieces, const Body& body) const {
    frame.for_pieces(pieces, [&](std::int64_t piece, Carver&) {
      body(piece * kTokens, std::min(kTokens, tokens() - piece * kTokens));
    });
  }

  void run_head(const Frame& frame, const ConstRows& in, std::int64_t index, const Buffers& buffers,
                const Rows& attended) const {
    const LinearAttentionHead& head = layers_.heads[size(index)];
    multiply(frame, head.qkv, in, tokens(), {buffers.qkv, kHead});
    const auto row_of = [&](std::int64_t y) { return buffers.qkv + y * grid_ * kHead; };
    for (std::int64_t y = 0; y < grid_; ++y) {
      convolve(frame, head.scale, y, grid_, grid_, 1, Gelu::no, row_of, buffers.convolved.from(y * grid_));
    }
    for (std::int64_t part = 0; part < 3; ++part) {
      multiply(frame, head.groups[size(part)], columns(buffers.convolved, part * kBlock), tokens(),
               {buffers.scaled + part * kBlock, kBlock, kHead});
    }
    attend(frame, buffers.qkv, columns(attended, index * kBlock));
    attend(frame, buffers.scaled, columns(attended, channels_ + index * kBlock));
  }

  void attend(const Frame& frame, const float* qkv, const Rows& out) const {
    frame.kernels().linear_attention({qkv, tokens(), kEpsilon, out});
  }

  /// A block of columns.
  static Rows columns(const Rows& rows, std::int64_t first) {
    return rows.format() == Format::bf16 ? Rows(rows.at<Bf16>(0, first), kBlock, rows.stride())
                                         : Rows(rows.at<float>(0, first), kBlock, rows.stride());
  }

  [[nodiscard]] std::int64_t tokens() const { return grid_ * grid_; }

  LinearAttentionLayers layers_;
  std::int64_t grid_, channels_;
};

}  // namespace

PassPtr make_linear_attention(LinearAttentionLayers layers, std::int64_t grid) {
  return std::make_unique<LinearAttention>(std::move(layers), grid);
}

}  // namespace medsam::backends::native
