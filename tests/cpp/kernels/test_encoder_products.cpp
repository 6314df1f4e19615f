// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Products of bf16 operands and the attention made of them, against plain loops in double precision.
#include <algorithm>
#include <limits>

#include "encoder_kernels_test.hpp"

namespace medsam::kernels {
namespace {

class EncoderProductsTest : public EncoderKernelsTest {};

TEST_P(EncoderProductsTest, MultipliesAnyNumberOfRows) {
  for (const Terms terms : {Terms::one, Terms::two}) {
    for (const std::int64_t rows : {1, 15, 16, 17, 31, 32, 33, 100}) {
      const std::int64_t in = 96, out = 64;
      const Floats a = random(rows * in), b = random(in * out), bias = random(out);
      Aligned<Bf16> left = operand(a, rows, in, terms);
      const PackedMatrix packed = pack_matrix(b.data(), in, out, terms, {0}, terms == Terms::two ? in : 0);
      Aligned<float> result(rows * out);
      ProductParams params{};
      params.a = left.data();
      params.a_stride = terms == Terms::two ? 2 * in : in;
      params.rows = rows;
      params.b = &packed;
      params.bias = bias.data();
      params.out = result.data();
      params.out_stride = out;
      kernels().product(params, blocks());
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
      // Two roundings of 2^-9 in 96 random terms; with two terms 2^-16.
      EXPECT_LE(worst, terms == Terms::one ? 0.2 : 1e-3) << rows;
      if (rows > 30 && terms == Terms::one) {
        EXPECT_GE(worst, 1e-3) << "one term is not exact";
      }
    }
  }
}

TEST_P(EncoderProductsTest, FinishesAProduct) {
  const std::int64_t rows = 37, in = 32, out = 32;
  const Floats a = random(rows * in), b = random(in * out, 0.5F), residual = random(rows * out);
  Aligned<Bf16> left = operand(a, rows, in, Terms::two);
  const PackedMatrix packed = pack_matrix(b.data(), in, out, Terms::two, {0}, in);
  ProductParams params{};
  params.a = left.data();
  params.a_stride = 2 * in;
  params.rows = rows;
  params.b = &packed;
  Aligned<float> plain(rows * out), result(rows * out);
  params.out = plain.data();
  params.out_stride = out;
  kernels().product(params, blocks());

  params.out = result.data();
  params.gelu = true;
  kernels().product(params, blocks());
  for (std::int64_t i = 0; i < rows * out; ++i) EXPECT_NEAR(result[i], exact_gelu(plain[i]), 2e-6) << plain[i];

  Aligned<Bf16> rounded(rows * out);
  params.rounded = rounded.data();
  params.rounded_stride = out;
  params.out = nullptr;
  kernels().product(params, blocks());
  for (std::int64_t i = 0; i < rows * out; ++i) {
    const double exact = exact_gelu(plain[i]);
    const double polynomial = 3.3e-5 * std::max(1.0, std::abs(static_cast<double>(plain[i])));
    EXPECT_NEAR(value_of(rounded[i]), exact, std::abs(exact) / 256 + 1.01 * polynomial) << plain[i];
  }

  params.gelu = false;
  params.gelu_after = true;
  params.rounded = nullptr;
  params.out = result.data();
  params.residual = residual.data();
  params.residual_stride = out;
  kernels().product(params, blocks());
  for (std::int64_t i = 0; i < rows * out; ++i) {
    EXPECT_NEAR(result[i], exact_gelu(static_cast<double>(plain[i]) + residual[static_cast<std::size_t>(i)]), 3e-6);
  }
}

TEST_P(EncoderProductsTest, ConvolvesByTaps) {
  // A 3x3 convolution of a (4, 5) image with a border of zeros: what the neck does.
  const std::int64_t height = 4, width = 5, in = 32, out = 32, side = width + 2;
  const Floats image = random((height + 2) * side * in), matrix = random(9 * in * out, 0.1F);
  Aligned<Bf16> left = operand(image, (height + 2) * side, in, Terms::two);
  std::vector<std::int64_t> taps;
  for (std::int64_t y = 0; y < 3; ++y) {
    for (std::int64_t x = 0; x < 3; ++x) taps.push_back((y * side + x) * 2 * in);
  }
  const PackedMatrix packed = pack_matrix(matrix.data(), in, out, Terms::two, taps, in);
  Aligned<float> result(width * out);
  for (std::int64_t y = 0; y < height; ++y) {
    ProductParams params{};
    params.a = left.data() + y * side * 2 * in;
    params.a_stride = 2 * in;
    params.rows = width;
    params.b = &packed;
    params.out = result.data();
    params.out_stride = out;
    kernels().product(params, blocks());
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
        EXPECT_NEAR(result[x * out + c], sum, 1e-3);
      }
    }
  }
}

/// softmax(q k^T + bias) v in double precision, from operands already rounded.
Floats exact_attention(const AttentionParams& p, std::int64_t keys) {
  const std::int64_t width = p.heads * 32;
  Floats out(static_cast<std::size_t>(p.tokens * width));
  for (std::int64_t head = 0; head < p.heads; ++head) {
    const auto row = [&](std::int64_t key, std::int64_t part) {
      return key < p.tokens ? p.qkv + (key * 3 + part) * width + head * 32 : p.padding + (part - 1) * width + head * 32;
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
      Aligned<Bf16> qkv((tokens + 32) * 3 * width), padding(2 * width), out(tokens * width);
      const Floats values = random(tokens * 3 * width, 2.F), constant = random(2 * width, 2.F);
      kernels().round(values.data(), qkv.data(), 0, tokens * 3 * width);
      kernels().round(constant.data(), padding.data(), 0, 2 * width);
      Floats bias(static_cast<std::size_t>(heads * tokens * key_stride), -std::numeric_limits<float>::infinity());
      const Floats offsets = random(heads * tokens * keys);
      for (std::int64_t i = 0; i < heads * tokens * keys; ++i) {
        bias[static_cast<std::size_t>(i / keys * key_stride + i % keys)] = offsets[static_cast<std::size_t>(i)];
      }
      Aligned<std::byte> scratch(static_cast<std::int64_t>(attention_scratch(key_stride)));
      AttentionParams params{qkv.data(),  tokens,     heads,      padded ? padding.data() : nullptr,
                             bias.data(), key_stride, out.data(), scratch.data()};
      kernels().attention(params, blocks());
      const Floats exact = exact_attention(params, keys);
      for (std::int64_t i = 0; i < tokens * width; ++i) {
        // Weights and result in bf16: 2^-9 of values of about 2 each.
        EXPECT_NEAR(value_of(out[i]), exact[static_cast<std::size_t>(i)], 0.04) << tokens << " " << padded;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(EveryTarget, EncoderProductsTest, every_target(), target_name);

}  // namespace
}  // namespace medsam::kernels
