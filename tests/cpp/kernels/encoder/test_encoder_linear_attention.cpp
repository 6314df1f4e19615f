// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What EfficientViT needs beside TinyViT's kernels, against plain loops in double precision.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/encoder/encoder_kernels_test.hpp"

namespace medsam::kernels {
namespace {

class EncoderLinearAttentionTest : public EncoderKernelsTest {};

double exact_tanh_gelu(double x) {
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 * std::numbers::inv_pi) * (x + 0.044715 * x * x * x)));
}

double tanh_gelu_bound(Format kind, double x) {
  return (kind == Format::bf16 ? 1.1e-4 : 4e-7) * std::max(1.0, std::abs(x));
}

TEST_P(EncoderLinearAttentionTest, FinishesAProductByTanh) {
  const std::int64_t rows = 37, in = 32, out = 32;
  const Floats a = random(rows * in), b = random(in * out, 0.5F), bias = random(out);
  Left left = operand(a, rows, in);
  for (const Format kind : {Format::bf16, Format::f32}) {
    const PackedMatrix packed = pack_matrix(b.data(), in, out, kind);
    ProductParams params = product_of(left, packed, rows);
    Aligned<float> plain(rows * out), result(rows * out);
    Aligned<Bf16> rounded(rows * out);
    params.epilogue.bias = bias.data();
    params.out = Rows(plain.data(), out);
    kernels().product(params);
    params.epilogue.tanh_gelu = true;
    params.out = Rows(result.data(), out);
    kernels().product(params);
    params.out = Rows(rounded.data(), out);
    kernels().product(params);
    double from_erf = 0;
    for (std::int64_t i = 0; i < rows * out; ++i) {
      const double exact = exact_tanh_gelu(plain[i]), bound = tanh_gelu_bound(kind, plain[i]);
      EXPECT_NEAR(result[i], exact, bound) << plain[i];
      EXPECT_NEAR(value_of(rounded[i]), exact, bound + std::abs(exact) / 256) << plain[i];
      from_erf = std::max(from_erf, std::abs(result[i] - exact_gelu(plain[i])));
    }
    EXPECT_GT(from_erf, 3e-4) << "this is the other GELU";
  }
}

TEST_P(EncoderLinearAttentionTest, ConvolvesDepthwiseByTanhAndByFiveTaps) {
  const std::int64_t channels = 64;
  for (const std::int64_t size : {3, 5}) {
    const Floats weight = random(size * size * channels, 0.4F), bias = random(channels);
    for (const std::int64_t width : {1, 2, 3, 4, 5, 6, 7, 8, 9, 16}) {
      for (const std::int64_t missing : {-1, 0, 1, 4}) {  // rows above and below the image
        for (const std::int64_t stride : {1, 2}) {
          if (size == 5 && stride == 2) continue;
          const Floats rows = random(size * width * channels);
          const std::int64_t outputs = (width + stride - 1) / stride;
          Aligned<float> out(outputs * channels);
          DepthwiseParams params{};
          const auto absent = [&](std::int64_t r) {
            return missing >= 0 && (missing < 2 ? r <= missing : r >= missing);
          };
          for (std::int64_t r = 0; r < size; ++r) {
            params.rows[r] = absent(r) ? nullptr : &rows[static_cast<std::size_t>(r * width * channels)];
          }
          params.width = width;
          params.channels = channels;
          params.stride = stride;
          params.size = size;
          params.weight = weight.data();
          params.bias = size == 3 ? bias.data() : nullptr;
          params.tanh_gelu = size == 3;
          params.out = Rows(out.data(), channels);
          kernels().depthwise(params);
          for (std::int64_t i = 0; i < outputs * channels; ++i) {
            const std::int64_t x = i / channels * stride, c = i % channels;
            double sum = size == 3 ? bias[static_cast<std::size_t>(c)] : 0;
            for (std::int64_t tap = 0; tap < size * size; ++tap) {
              const std::int64_t r = tap / size, column = x + tap % size - size / 2;
              if (absent(r) || column < 0 || column >= width) continue;
              sum += static_cast<double>(rows[static_cast<std::size_t>((r * width + column) * channels + c)]) *
                     weight[static_cast<std::size_t>(tap * channels + c)];
            }
            if (size == 3) sum = exact_tanh_gelu(sum);
            EXPECT_NEAR(out[i], sum, 1e-5) << size << " " << width << " " << missing << " " << stride;
          }
        }
      }
    }
  }
}

TEST_P(EncoderLinearAttentionTest, AttendsLinearly) {
  for (const std::int64_t tokens : {1, 3, 4, 7, 9, 64, 100}) {
    const Floats qkv = random(tokens * 96, 2.F);
    const float eps = tokens == 3 ? 0.5F : 1e-15F;
    Aligned<float> out(tokens * 64);
    Aligned<Bf16> rounded(tokens * 32);
    LinearAttentionParams params{qkv.data(), tokens, eps, Rows(out.data(), 32, 64)};
    kernels().linear_attention(params);
    params.out = Rows(rounded.data(), 32);
    kernels().linear_attention(params);
    const auto at = [&](std::int64_t token, std::int64_t part, std::int64_t c) -> double {
      const double value = qkv[static_cast<std::size_t>(token * 96 + part * 32 + c)];
      return part < 2 ? std::max(value, 0.0) : value;
    };
    for (std::int64_t query = 0; query < tokens; ++query) {
      double total = eps;
      std::vector<double> sums(32);
      for (std::int64_t key = 0; key < tokens; ++key) {
        double weight = 0;
        for (std::int64_t c = 0; c < 32; ++c) weight += at(query, 0, c) * at(key, 1, c);
        total += weight;
        for (std::int64_t c = 0; c < 32; ++c) sums[static_cast<std::size_t>(c)] += weight * at(key, 2, c);
      }
      for (std::int64_t c = 0; c < 32; ++c) {
        const double exact = sums[static_cast<std::size_t>(c)] / total;
        EXPECT_NEAR(out[query * 64 + c], exact, 1e-5) << tokens;
        EXPECT_NEAR(value_of(rounded[query * 32 + c]), exact, 1e-5 + std::abs(exact) / 256) << tokens;
      }
    }
  }
}

TEST_P(EncoderLinearAttentionTest, ATokenThatNothingLooksAtIsZero) {
  // Queries and keys below zero: the published code divides 0 by 1e-15.
  Floats qkv(96 * 2, -1.F);
  Aligned<float> out(64);
  std::fill(out.data(), out.data() + 64, 7.F);
  kernels().linear_attention({qkv.data(), 2, 1e-15F, Rows(out.data(), 32)});
  for (std::int64_t i = 0; i < 64; ++i) EXPECT_EQ(out[i], 0.F);
}

TEST_P(EncoderLinearAttentionTest, BlendsRows) {
  const std::int64_t n = 48;
  const Floats from = random(4 * n), base = random(n);
  Aligned<float> out(n);
  BlendParams params{};
  const float weights[4] = {-0.25F, 0.75F, 0.6F, -0.1F};
  for (std::size_t i = 0; i < 4; ++i) {
    params.from[i] = from.data() + static_cast<std::int64_t>(i) * n;
    params.weights[i] = weights[i];
  }
  params.n = n;
  params.out = out.data();
  for (const bool based : {false, true}) {
    params.base = based ? base.data() : nullptr;
    kernels().blend(params);
    for (std::int64_t i = 0; i < n; ++i) {
      const auto at = static_cast<std::size_t>(i);
      double sum = based ? base[at] : 0;
      for (std::size_t k = 0; k < 4; ++k) sum += static_cast<double>(weights[k]) * from[k * 48 + at];
      EXPECT_NEAR(out[i], sum, 1e-6);
    }
  }
}

TEST_P(EncoderLinearAttentionTest, ConvolvesByWinograd) {
  // One input channel at a time is the sum of a product, so that the transforms alone are tested: sums are V U.
  const std::int64_t channels = 32, step = 9;
  static constexpr double kG[4][3] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
  const Floats kernel = random(9 * channels), bias = random(channels);
  for (const std::int64_t width : {2, 4, 6, 16}) {
    for (const int missing : {-1, 0, 3}) {
      const Floats rows = random(4 * width * channels);
      Aligned<float> in(16 * step * channels), sums(16 * step * channels), out(2 * width * channels);
      WinogradInputParams input;
      for (int r = 0; r < 4; ++r) {
        input.rows[r] = r == missing ? nullptr : &rows[static_cast<std::size_t>(r * width * channels)];
      }
      input.width = width;
      input.channels = channels;
      input.step = step;
      input.out = Rows(in.data(), channels);
      kernels().winograd_input(input);
      for (std::int64_t e = 0; e < 16; ++e) {
        for (std::int64_t i = 0; i < width / 2 * channels; ++i) {
          double element = 0;
          for (std::int64_t tap = 0; tap < 9; ++tap) {
            element += kG[e / 4][tap / 3] * kG[e % 4][tap % 3] *
                       kernel[static_cast<std::size_t>(tap * channels + i % channels)];
          }
          sums[e * step * channels + i] =
              static_cast<float>(element * static_cast<double>(in[e * step * channels + i]));
        }
      }
      WinogradOutputParams output;
      output.sums = sums.data();
      output.tiles = width / 2;
      output.step = step;
      output.channels = channels;
      output.bias = bias.data();
      for (int y = 0; y < 2; ++y) output.out[y] = Rows(out.data() + y * width * channels, channels);
      kernels().winograd_output(output);
      for (std::int64_t i = 0; i < 2 * width * channels; ++i) {
        const std::int64_t y = i / (width * channels), x = i / channels % width, c = i % channels;
        double sum = bias[static_cast<std::size_t>(c)];
        for (std::int64_t tap = 0; tap < 9; ++tap) {
          const std::int64_t r = y + tap / 3, column = x + tap % 3 - 1;
          if (r == missing || column < 0 || column >= width) continue;
          sum += static_cast<double>(rows[static_cast<std::size_t>((r * width + column) * channels + c)]) *
                 kernel[static_cast<std::size_t>(tap * channels + c)];
        }
        EXPECT_NEAR(out[i], exact_tanh_gelu(sum), 2e-5) << width << " " << missing;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(EveryTarget, EncoderLinearAttentionTest, every_target(), target_name);

}  // namespace
}  // namespace medsam::kernels
