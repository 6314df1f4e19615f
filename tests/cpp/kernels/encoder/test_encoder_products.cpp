// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Products of bf16 and f32 operands and the attention made of them, against plain loops in double precision.
#include <algorithm>
#include <limits>

#include "kernels/encoder/encoder_kernels_test.hpp"

namespace medsam::kernels {
namespace {

class EncoderProductsTest : public EncoderKernelsTest {};

TEST_P(EncoderProductsTest, MultipliesAnyNumberOfRows) {
  for (const Format kind : {Format::bf16, Format::f32}) {
    for (const std::int64_t rows : {1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 100}) {
      const std::int64_t in = 96, out = 64;
      const Floats a = random(rows * in), b = random(in * out), bias = random(out);
      Left left = operand(a, rows, in);
      const PackedMatrix packed = pack_matrix(b.data(), in, out, kind);
      Aligned<float> result((rows + 1) * out);
      for (std::int64_t c = 0; c < out; ++c) result[rows * out + c] = 7.F;
      ProductParams params = product_of(left, packed, rows);
      params.epilogue.bias = bias.data();
      params.out = Rows(result.data(), out);
      kernels().product(params);
      double worst = 0;
      for (std::int64_t r = 0; r < rows; ++r) {
        for (std::int64_t c = 0; c < out; ++c) {
          double sum = bias[static_cast<std::size_t>(c)];
          for (std::int64_t k = 0; k < in; ++k) {
            sum +=
                static_cast<double>(a[static_cast<std::size_t>(r * in + k)]) * b[static_cast<std::size_t>(k * out + c)];
          }
          worst = std::max(worst, std::abs(sum - static_cast<double>(result[r * out + c])));
        }
      }
      // Two roundings of 2^-9 in 96 random terms; of f32 2^-24 of sums of about 10.
      EXPECT_LE(worst, kind == Format::bf16 ? 0.2 : 2e-5) << rows;
      if (rows > 30 && kind == Format::bf16) {
        EXPECT_GE(worst, 1e-3) << "bf16 is not exact";
      }
      for (std::int64_t c = 0; c < out; ++c)
        EXPECT_EQ(result[rows * out + c], 7.F) << "a row past the last was written";
    }
  }
}

TEST_P(EncoderProductsTest, PacksColumnsThatAreNoMultipleOfABlock) {
  const std::int64_t rows = 9, in = 64, out = 41;
  const Floats a = random(rows * in), b = random(in * out);
  Left left = operand(a, rows, in);
  for (const Format kind : {Format::bf16, Format::f32}) {
    const PackedMatrix packed = pack_matrix(b.data(), in, out, kind);
    ASSERT_EQ(packed.out, 64);
    Aligned<float> result(rows * packed.out);
    ProductParams params = product_of(left, packed, rows);
    params.out = Rows(result.data(), packed.out);
    kernels().product(params);
    for (std::int64_t i = 0; i < rows * packed.out; ++i) {
      const std::int64_t r = i / packed.out, c = i % packed.out;
      double sum = 0;
      for (std::int64_t k = 0; c < out && k < in; ++k) {
        sum += static_cast<double>(a[static_cast<std::size_t>(r * in + k)]) * b[static_cast<std::size_t>(k * out + c)];
      }
      EXPECT_NEAR(result[i], sum, kind == Format::bf16 ? 0.2 : 2e-5) << r << " " << c;
    }
  }
}

TEST_P(EncoderProductsTest, FinishesAProduct) {
  const std::int64_t rows = 37, in = 32, out = 32;
  const Floats a = random(rows * in), b = random(in * out, 0.5F), residual = random(rows * out);
  Left left = operand(a, rows, in);
  for (const Format kind : {Format::bf16, Format::f32}) {
    const PackedMatrix packed = pack_matrix(b.data(), in, out, kind);
    ProductParams params = product_of(left, packed, rows);
    Aligned<float> plain(rows * out), result(rows * out);
    params.out = Rows(plain.data(), out);
    kernels().product(params);
    // GELU is as exact as the operands are.
    const auto bound = [&](double x) { return kind == Format::bf16 ? 2e-4 : 3e-7 * std::max(1.0, std::abs(x)); };

    params.out = Rows(result.data(), out);
    params.epilogue.gelu = true;
    kernels().product(params);
    for (std::int64_t i = 0; i < rows * out; ++i) {
      EXPECT_NEAR(result[i], exact_gelu(plain[i]), bound(plain[i])) << plain[i];
    }

    Aligned<Bf16> rounded(rows * out);
    params.out = Rows(rounded.data(), out);
    kernels().product(params);
    for (std::int64_t i = 0; i < rows * out; ++i) {
      const double exact = exact_gelu(plain[i]);
      EXPECT_NEAR(value_of(rounded[i]), exact, std::abs(exact) / 256 + bound(plain[i])) << plain[i];
    }

    params.epilogue.gelu = false;
    params.epilogue.gelu_after = true;
    params.out = Rows(result.data(), out);
    params.epilogue.residual = ConstRows(residual.data(), out);
    kernels().product(params);
    for (std::int64_t i = 0; i < rows * out; ++i) {
      const double sum = static_cast<double>(plain[i]) + residual[static_cast<std::size_t>(i)];
      EXPECT_NEAR(result[i], exact_gelu(sum), bound(sum));
    }
  }
}

TEST_P(EncoderProductsTest, ConvolvesByTaps) {
  // A 3x3 convolution of a (4, 5) image with a border of zeros: what the neck does.
  const std::int64_t height = 4, width = 5, in = 32, out = 32, side = width + 2;
  const Floats image = random((height + 2) * side * in), matrix = random(9 * in * out, 0.1F);
  Left left = operand(image, (height + 2) * side, in);
  std::vector<std::int64_t> taps;
  for (std::int64_t y = 0; y < 3; ++y) {
    for (std::int64_t x = 0; x < 3; ++x) taps.push_back((y * side + x) * in);
  }
  for (const Format kind : {Format::bf16, Format::f32}) {
    const PackedMatrix packed = pack_matrix(matrix.data(), in, out, kind, taps);
    Aligned<float> result(width * out);
    for (std::int64_t y = 0; y < height; ++y) {
      ProductParams params = product_of(left, packed, width);
      params.a = params.a.from(y * side);
      params.out = Rows(result.data(), out);
      kernels().product(params);
      for (std::int64_t x = 0; x < width; ++x) {
        for (std::int64_t c = 0; c < out; ++c) {
          double sum = 0;
          for (std::int64_t tap = 0; tap < 9; ++tap) {
            for (std::int64_t k = 0; k < in; ++k) {
              const std::int64_t pixel = (y + tap / 3) * side + x + tap % 3;
              sum += static_cast<double>(image[static_cast<std::size_t>(pixel * in + k)]) *
                     matrix[static_cast<std::size_t>((tap * in + k) * out + c)];
            }
          }
          EXPECT_NEAR(result[x * out + c], sum, kind == Format::bf16 ? 0.05 : 2e-5);
        }
      }
    }
  }
}

/// softmax(q k^T + bias) v in double precision, from operands already rounded.
template <class T>
Floats exact_attention(const AttentionParams& p, std::int64_t keys) {
  const std::int64_t width = p.heads * 32;
  Floats out(static_cast<std::size_t>(p.tokens * width));
  for (std::int64_t head = 0; head < p.heads; ++head) {
    const auto row = [&](std::int64_t key, std::int64_t part) {
      return key < p.tokens ? p.qkv.at<T>(key, part * width + head * 32) : p.padding.at<T>(part - 1, head * 32);
    };
    for (std::int64_t query = 0; query < p.tokens; ++query) {
      std::vector<double> weight(static_cast<std::size_t>(keys));
      double total = 0;
      for (std::int64_t key = 0; key < keys; ++key) {
        double score = p.bias[(head * p.tokens + query) * p.key_stride + key];
        for (std::int64_t c = 0; c < 32; ++c) score += value_of(row(query, 0)[c]) * value_of(row(key, 1)[c]);
        total += weight[static_cast<std::size_t>(key)] = std::exp(score);
      }
      for (std::int64_t c = 0; c < 32; ++c) {
        double sum = 0;
        for (std::int64_t key = 0; key < keys; ++key) {
          sum += weight[static_cast<std::size_t>(key)] / total * value_of(row(key, 2)[c]);
        }
        out[static_cast<std::size_t>(query * width + head * 32 + c)] = static_cast<float>(sum);
      }
    }
  }
  return out;
}

TEST_P(EncoderProductsTest, AttendsWithAndWithoutPadding) {
  const std::int64_t heads = 2, width = heads * 32;
  for (const std::int64_t tokens : {1, 14, 31, 32, 49, 196}) {
    for (const bool padded : {false, true}) {
      const std::int64_t keys = tokens + (padded ? 1 : 0), key_stride = (keys + 31) / 32 * 32;
      const std::int64_t rows = (tokens + 31) / 32 * 32;
      Left qkv = operand(random(tokens * 3 * width, 2.F), tokens, 3 * width),
           padding = operand(random(2 * width, 2.F), 1, 2 * width);
      Floats bias(static_cast<std::size_t>(heads * tokens * key_stride), -std::numeric_limits<float>::infinity());
      const Floats offsets = random(heads * tokens * keys);
      for (std::int64_t i = 0; i < heads * tokens * keys; ++i) {
        bias[static_cast<std::size_t>(i / keys * key_stride + i % keys)] = offsets[static_cast<std::size_t>(i)];
      }
      Aligned<std::byte> scratch(static_cast<std::int64_t>(attention_scratch(key_stride)));
      Aligned<Bf16> out(rows * width);
      AttentionParams params;
      params.qkv = ConstRows(qkv.rounded.data(), 3 * width);
      params.tokens = tokens;
      params.heads = heads;
      if (padded) params.padding = ConstRows(padding.rounded.data(), width);
      params.bias = bias.data();
      params.key_stride = key_stride;
      params.out = Rows(out.data(), width);
      params.scratch = scratch.data();
      kernels().attention(params);
      const Floats close = exact_attention<Bf16>(params, keys);
      Aligned<float> out_exact(rows * width);
      params.qkv = ConstRows(qkv.exact.data(), 3 * width);
      if (padded) params.padding = ConstRows(padding.exact.data(), width);
      params.out = Rows(out_exact.data(), width);
      kernels().attention(params);
      const Floats exact = exact_attention<float>(params, keys);
      for (std::int64_t i = 0; i < tokens * width; ++i) {
        // Weights and result in bf16: 2^-9 of values of about 2 each. Of f32: scores of about 50 are known to 4e-6.
        EXPECT_NEAR(value_of(out[i]), close[static_cast<std::size_t>(i)], 0.04) << tokens << " " << padded;
        EXPECT_NEAR(out_exact[i], exact[static_cast<std::size_t>(i)], 1e-4) << tokens << " " << padded;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(EveryTarget, EncoderProductsTest, every_target(), target_name);

}  // namespace
}  // namespace medsam::kernels
