// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What lies between the products, against plain loops in double precision.
#include <algorithm>
#include <limits>

#include "kernels/encoder/encoder_kernels_test.hpp"

namespace medsam::kernels {
namespace {

TEST_P(EncoderKernelsTest, RoundsToEven) {
  const Floats values = {1.F, 1.00390625F, 1.01171875F, -1.00390625F, 3.14159274F, 1e-30F, -1e30F,    65504.F,
                         0.F, -0.F,        1.0039065F,  0.1F,         -7.7F,       1e-3F,  255.4999F, 0.333333343F,
                         1.F, 1.F,         1.F,         1.F,          1.F,         1.F,    1.F,       1.F,
                         1.F, 1.F,         1.F,         1.F,          1.F,         1.F,    1.F,       1.F};
  Aligned<Bf16> out(32);
  kernels().round(values.data(), out.data(), 32);
  EXPECT_EQ(value_of(out[1]), 1.0) << "halfway, to even";
  EXPECT_EQ(value_of(out[2]), 1.015625) << "halfway, to even";
  EXPECT_EQ(value_of(out[10]), 1.0078125) << "above halfway";
  for (std::int64_t i = 0; i < 32; ++i) {
    const double exact = values[static_cast<std::size_t>(i)];
    EXPECT_LE(std::abs(value_of(out[i]) - exact), std::abs(exact) / 256) << i;
  }
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  Floats special(16, nan);
  special[1] = infinity;
  special[2] = -infinity;
  kernels().round(special.data(), out.data(), 16);
  EXPECT_TRUE(std::isnan(value_of(out[0])));
  EXPECT_EQ(value_of(out[1]), infinity);
  EXPECT_EQ(value_of(out[2]), -infinity);
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
        params.out = Rows(out.data(), channels);
        kernels().depthwise(params);
        params.out = Rows(rounded.data(), channels, 2 * channels);
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
          EXPECT_NEAR(value_of(rounded[at]), sum, (params.gelu ? 2e-4 : 1e-5) + std::abs(sum) / 256);
        }
      }
    }
  }
}

TEST_P(EncoderKernelsTest, NormalizesRows) {
  const std::int64_t rows = 11, channels = 96;  // groups of four, and a rest
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
    params.out = Rows(out.data(), channels);
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

TEST_P(EncoderKernelsTest, ExpandsPlanesAndAdds) {
  const std::int64_t pixels = 7, channels = 32;
  const Floats image = random(3 * pixels), weight = random(3 * channels), bias = random(channels);
  const float* planes[3] = {image.data(), image.data() + pixels, image.data() + 2 * pixels};
  Aligned<float> out(pixels * channels);
  kernels().expand_planes(planes, 3, pixels, weight.data(), bias.data(), channels, out.data());
  for (std::int64_t i = 0; i < pixels * channels; ++i) {
    const auto c = static_cast<std::size_t>(i % channels);
    double sum = bias[c];
    for (std::size_t p = 0; p < 3; ++p) sum += static_cast<double>(planes[p][i / channels]) * weight[p * 32 + c];
    EXPECT_NEAR(out[i], exact_gelu(sum), 3e-6);
  }
  Floats to = random(64);
  const Floats from = random(64), before = to;
  kernels().add(from.data(), to.data(), 64);
  for (std::size_t i = 0; i < 64; ++i) EXPECT_EQ(to[i], from[i] + before[i]);
}

INSTANTIATE_TEST_SUITE_P(EveryTarget, EncoderKernelsTest, every_target(), target_name);

}  // namespace
}  // namespace medsam::kernels
