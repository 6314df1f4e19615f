// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What a kernel makes of a row or a pixel is the same to the bit, whatever else the same call computes: the native room
// computes an image in pieces, and of a padded image only some of them (cpp/src/backends/native/padding.hpp).
#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/encoder/encoder_kernels_test.hpp"

namespace medsam::kernels {
namespace {

class EncoderPiecesTest : public EncoderKernelsTest {
 protected:
  /// Calls f(first, count) for pieces of every length that a kernel may treat in a way of its own.
  template <class F>
  static void for_pieces(std::int64_t rows, const F& f) {
    std::int64_t first = 0;
    for (std::int64_t count = 1; first < rows; ++count) {
      f(first, std::min(count, rows - first));
      first += count;
    }
  }

  template <class T>
  static void expect_same(Aligned<T>& pieces, Aligned<T>& whole, std::int64_t count, const char* of) {
    EXPECT_EQ(std::memcmp(pieces.data(), whole.data(), static_cast<std::size_t>(count) * sizeof(T)), 0) << of;
  }
};

TEST_P(EncoderPiecesTest, ProductsOfRows) {
  const std::int64_t rows = 700, in = 96, out = 64;  // pieces of 1 to 37 rows, and panels of more than a block
  const Floats a = random(rows * in), b = random(in * out), bias = random(out), residual = random(rows * out);
  for (const Format kind : {Format::bf16, Format::f32}) {
    Left left = operand(a, rows, in);
    const PackedMatrix packed = pack_matrix(b.data(), in, out, kind);
    for (const int epilogue : {0, 1, 2}) {
      Aligned<float> whole(rows * out), pieces(rows * out);
      const auto multiply = [&](std::int64_t first, std::int64_t count, Aligned<float>& to) {
        ProductParams params = product_of(left, packed, count);
        params.a = params.a.from(first);
        params.epilogue.bias = bias.data();
        params.epilogue.gelu = epilogue == 1;
        params.epilogue.gelu_after = epilogue == 2;
        if (epilogue == 2) params.epilogue.residual = ConstRows(residual.data(), out).from(first);
        params.out = Rows(to.data(), out).from(first);
        kernels().product(params);
      };
      multiply(0, rows, whole);
      for_pieces(rows, [&](std::int64_t first, std::int64_t count) { multiply(first, count, pieces); });
      expect_same(pieces, whole, rows * out, kind == Format::bf16 ? "bf16" : "f32");
    }
  }
}

TEST_P(EncoderPiecesTest, NormsOfRows) {
  const std::int64_t rows = 40, channels = 96;
  const Floats in = random(rows * channels);
  Aligned<float> whole(rows * channels), pieces(rows * channels);
  const auto normalize = [&](std::int64_t first, std::int64_t count, Aligned<float>& to) {
    NormalizeRowsParams params{};
    params.in = &in[static_cast<std::size_t>(first * channels)];
    params.rows = count;
    params.channels = channels;
    params.eps = 1e-5F;
    params.out = Rows(to.data(), channels).from(first);
    kernels().normalize_rows(params);
  };
  normalize(0, rows, whole);
  for_pieces(rows, [&](std::int64_t first, std::int64_t count) { normalize(first, count, pieces); });
  expect_same(pieces, whole, rows * channels, "norm");
}

TEST_P(EncoderPiecesTest, DepthwiseConvolutionsOfPixels) {
  const std::int64_t width = 46, channels = 64;
  const Floats weight = random(25 * channels), bias = random(channels), rows = random(5 * width * channels);
  for (const auto& [size, stride] : {std::pair<int, std::int64_t>{3, 1}, {3, 2}, {5, 1}}) {
    for (const int missing : {-1, 0, size - 1}) {
      DepthwiseParams params{};
      for (int r = 0; r < size; ++r)
        params.rows[r] = r == missing ? nullptr : &rows[static_cast<std::size_t>(r * width * channels)];
      params.width = width;
      params.channels = channels;
      params.stride = stride;
      params.size = size;
      params.weight = weight.data();
      params.bias = bias.data();
      params.gelu = size == 3 && stride == 1;
      params.tanh_gelu = size == 3 && stride == 2;
      const std::int64_t outputs = width / stride;
      Aligned<float> whole(outputs * channels), pieces((outputs + 1) * channels);
      params.out = Rows(whole.data(), channels);
      kernels().depthwise(params);
      for_pieces(outputs, [&](std::int64_t first, std::int64_t count) {
        for (std::int64_t c = 0; c < channels; ++c) pieces[(first + count) * channels + c] = 7.F;
        params.begin = first;
        params.end = first + count;
        params.out = Rows(pieces.data(), channels).from(first);
        kernels().depthwise(params);
        EXPECT_EQ(pieces[(first + count) * channels], 7.F) << "a pixel past the last was written";
      });
      expect_same(pieces, whole, outputs * channels, "depthwise");
    }
  }
}

TEST_P(EncoderPiecesTest, ExpandedPixels) {
  const std::int64_t pixels = 40, channels = 32;
  const Floats planes = random(3 * pixels), weight = random(3 * channels), bias = random(channels);
  Aligned<float> whole(pixels * channels), pieces(pixels * channels);
  const auto expand = [&](std::int64_t first, std::int64_t count, Aligned<float>& to) {
    const float* from = planes.data() + first;
    const float* at[3] = {from, from + pixels, from + 2 * pixels};
    kernels().expand_planes(at, 3, count, weight.data(), bias.data(), channels, to.data() + first * channels);
  };
  expand(0, pixels, whole);
  for_pieces(pixels, [&](std::int64_t first, std::int64_t count) { expand(first, count, pieces); });
  expect_same(pieces, whole, pixels * channels, "planes");
}

INSTANTIATE_TEST_SUITE_P(EveryTarget, EncoderPiecesTest, every_target(), target_name);

}  // namespace
}  // namespace medsam::kernels
