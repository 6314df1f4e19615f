// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The encoder's kernels, every SIMD target with every way to multiply that this processor has, against plain loops in
// double precision.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "kernels/encoder/encoder_kernels.hpp"

namespace medsam::kernels {
namespace {

using Floats = std::vector<float>;

double value_of(Bf16 bits) { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }
double exact_gelu(double x) { return x * 0.5 * std::erfc(-x / std::sqrt(2.0)); }

/// 64-byte aligned memory of `count` elements.
template <class T>
class Aligned {
 public:
  explicit Aligned(std::int64_t count) : memory_(static_cast<std::size_t>(count) * sizeof(T) + 64) {}
  T* data() {
    const auto at = reinterpret_cast<std::uintptr_t>(memory_.data());
    return reinterpret_cast<T*>((at + 63) / 64 * 64);
  }
  T& operator[](std::int64_t i) { return data()[i]; }

 private:
  std::vector<std::byte> memory_;
};

class EncoderKernelsTest : public ::testing::TestWithParam<std::tuple<const EncoderKernels*, const BlockProduct*>> {
 protected:
  const EncoderKernels& kernels() { return *std::get<0>(GetParam()); }
  const BlockProduct& blocks() { return *std::get<1>(GetParam()); }

  Floats random(std::int64_t count, float scale = 1.F) {
    std::normal_distribution<float> normal(0.F, scale);
    Floats values(static_cast<std::size_t>(count));
    for (float& v : values) v = normal(generator_);
    return values;
  }

  /// Rows of `values` as the left operand of a product; NaN in the rows past the last, which must not matter.
  Aligned<Bf16> operand(const Floats& values, std::int64_t rows, std::int64_t in, Terms terms) {
    const std::int64_t low = terms == Terms::two ? in : 0, stride = in + low;
    Aligned<Bf16> out((rows + 32) * stride);
    for (std::int64_t i = 0; i < (rows + 32) * stride; ++i) out[i] = 0x7FC0;
    for (std::int64_t r = 0; r < rows; ++r) kernels().round(&values[r * in], &out[r * stride], low, in);
    return out;
  }

  std::mt19937 generator_{7};
};

TEST_P(EncoderKernelsTest, RoundsToEvenInOneTermAndTwo) {
  const Floats values = {1.F, 1.00390625F, 1.01171875F, -1.00390625F, 3.14159274F, 1e-30F, -1e30F,    65504.F,
                         0.F, -0.F,        1.0039065F,  0.1F,         -7.7F,       1e-3F,  255.4999F, 0.333333343F,
                         1.F, 1.F,         1.F,         1.F,          1.F,         1.F,    1.F,       1.F,
                         1.F, 1.F,         1.F,         1.F,          1.F,         1.F,    1.F,       1.F};
  Aligned<Bf16> out(64);
  kernels().round(values.data(), out.data(), 32, 32);
  EXPECT_EQ(value_of(out[1]), 1.0) << "halfway, to even";
  EXPECT_EQ(value_of(out[2]), 1.015625) << "halfway, to even";
  EXPECT_EQ(value_of(out[10]), 1.0078125) << "above halfway";
  for (std::int64_t i = 0; i < 32; ++i) {
    const double exact = values[static_cast<std::size_t>(i)];
    EXPECT_LE(std::abs(value_of(out[i]) - exact), std::abs(exact) / 256) << i;
    EXPECT_LE(std::abs(value_of(out[i]) + value_of(out[32 + i]) - exact), std::abs(exact) / 65536) << i;
  }
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  Floats special(16, nan);
  special[1] = infinity;
  special[2] = -infinity;
  kernels().round(special.data(), out.data(), 0, 16);
  EXPECT_TRUE(std::isnan(value_of(out[0])));
  EXPECT_EQ(value_of(out[1]), infinity);
  EXPECT_EQ(value_of(out[2]), -infinity);
}

TEST_P(EncoderKernelsTest, MultipliesAnyNumberOfRows) {
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

TEST_P(EncoderKernelsTest, FinishesAProduct) {
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

TEST_P(EncoderKernelsTest, ConvolvesByTaps) {
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

TEST_P(EncoderKernelsTest, ConvolvesDepthwise) {
  const std::int64_t channels = 64;
  const Floats weight = random(9 * channels), bias = random(channels);
  for (const std::int64_t stride : {1, 2}) {
    for (const std::int64_t width : {1, 2, 3, 4, 5, 8, 11, 16}) {
      for (const int missing : {-1, 0, 2}) {
        const Floats rows = random(3 * width * channels);
        const std::int64_t outputs = (width + stride - 1) / stride;
        Aligned<float> out(outputs * channels);
        Aligned<Bf16> rounded(outputs * channels * 2);
        DepthwiseParams params{};
        for (int r = 0; r < 3; ++r)
          params.rows[r] = r == missing ? nullptr : &rows[static_cast<std::size_t>(r * width * channels)];
        params.width = width;
        params.channels = channels;
        params.stride = stride;
        params.weight = weight.data();
        params.bias = bias.data();
        params.gelu = stride == 2;
        params.out = out.data();
        params.rounded = rounded.data();
        params.rounded_stride = 2 * channels;
        params.low_offset = channels;
        kernels().depthwise(params);
        for (std::int64_t i = 0; i < outputs * channels; ++i) {
          const std::int64_t x = i / channels * stride, c = i % channels;
          double sum = bias[static_cast<std::size_t>(c)];
          for (std::int64_t tap = 0; tap < 9; ++tap) {
            const std::int64_t r = tap / 3, column = x + tap % 3 - 1;
            if (r == missing || column < 0 || column >= width) continue;
            sum += static_cast<double>(rows[static_cast<std::size_t>((r * width + column) * channels + c)]) *
                   weight[static_cast<std::size_t>(tap * channels + c)];
          }
          if (params.gelu) sum = exact_gelu(sum);
          EXPECT_NEAR(out[i], sum, 1e-5) << width << " " << stride << " " << missing;
          const std::int64_t at = i / channels * 2 * channels + c;
          EXPECT_NEAR(value_of(rounded[at]) + value_of(rounded[at + channels]), sum, 1e-5 + std::abs(sum) / 32768);
        }
      }
    }
  }
}

TEST_P(EncoderKernelsTest, NormalizesRows) {
  const std::int64_t rows = 5, channels = 96;
  Floats in = random(rows * channels, 3.F);
  for (float& v : in) v += 100.F;  // far from zero: a variance by E[x^2] - E[x]^2 would lose its digits
  const Floats weight = random(channels), bias = random(channels);
  for (const bool affine : {false, true}) {
    Aligned<float> out(rows * channels);
    NormalizeRowsParams params{};
    params.in = in.data();
    params.rows = rows;
    params.channels = channels;
    params.eps = 1e-5F;
    params.weight = affine ? weight.data() : nullptr;
    params.bias = affine ? bias.data() : nullptr;
    params.out = out.data();
    kernels().normalize_rows(params);
    for (std::int64_t r = 0; r < rows; ++r) {
      double mean = 0, variance = 0;
      for (std::int64_t c = 0; c < channels; ++c) mean += in[static_cast<std::size_t>(r * channels + c)] / 96.0;
      for (std::int64_t c = 0; c < channels; ++c) {
        variance += std::pow(in[static_cast<std::size_t>(r * channels + c)] - mean, 2) / 96.0;
      }
      for (std::int64_t c = 0; c < channels; ++c) {
        const auto i = static_cast<std::size_t>(c);
        double exact = (in[static_cast<std::size_t>(r * channels + c)] - mean) / std::sqrt(variance + 1e-5);
        if (affine) exact = exact * weight[i] + bias[i];
        // The mean is a sum of 96 numbers near 100, each addition rounded to 2^-24 of the sum, and then divided by 3.
        EXPECT_NEAR(out[r * channels + c], exact, 2e-4);
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

TEST_P(EncoderKernelsTest, AttendsWithAndWithoutPadding) {
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

TEST_P(EncoderKernelsTest, ExpandsPlanesAndAdds) {
  const std::int64_t pixels = 7, channels = 32;
  const Floats image = random(3 * pixels), weight = random(3 * channels), bias = random(channels);
  const float* planes[3] = {image.data(), image.data() + pixels, image.data() + 2 * pixels};
  Aligned<Bf16> out(pixels * 2 * channels);
  kernels().expand_planes(planes, 3, pixels, weight.data(), bias.data(), channels, out.data(), 2 * channels, channels);
  for (std::int64_t i = 0; i < pixels * channels; ++i) {
    const auto c = static_cast<std::size_t>(i % channels);
    double sum = bias[c];
    for (std::size_t p = 0; p < 3; ++p) sum += static_cast<double>(planes[p][i / channels]) * weight[p * 32 + c];
    const std::int64_t at = i / channels * 2 * channels + i % channels;
    EXPECT_NEAR(value_of(out[at]) + value_of(out[at + channels]), exact_gelu(sum), 1e-4);
  }
  Floats to = random(64);
  const Floats from = random(64), before = to;
  kernels().add(from.data(), to.data(), 64);
  for (std::size_t i = 0; i < 64; ++i) EXPECT_EQ(to[i], from[i] + before[i]);
}

INSTANTIATE_TEST_SUITE_P(EveryTarget, EncoderKernelsTest,
                         ::testing::Combine(::testing::ValuesIn(available_encoder_kernels()),
                                            ::testing::ValuesIn(available_products())),
                         [](const auto& param) {
                           return std::string(std::get<0>(param.param)->name) + "_" + std::get<1>(param.param)->name;
                         });

}  // namespace
}  // namespace medsam::kernels
