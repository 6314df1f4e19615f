// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Attention between tokens and an image that has been projected to heads, and what the decoder asks of products and
// norms beside the encoder's, against plain loops in double precision.
#include <cmath>
#include <utility>

#include "kernels/encoder/encoder_kernels_test.hpp"

namespace medsam::kernels {
namespace {

constexpr std::int64_t kRows = 12;

class ProjectedImageTest : public EncoderKernelsTest {
 protected:
  /// Random numbers in T and as doubles; the first has the places that `place` gives the second's elements.
  template <class T, class Place>
  std::pair<Aligned<T>, std::vector<double>> numbers(std::int64_t count, const Place& place) {
    const Floats values = random(count);
    Aligned<Bf16> rounded(count);
    kernels().round(values.data(), rounded.data(), count);
    std::pair<Aligned<T>, std::vector<double>> made{Aligned<T>(count), std::vector<double>(values.size())};
    for (std::int64_t i = 0; i < count; ++i) {
      T& to = made.first[place(i)];
      if constexpr (std::is_same_v<T, Bf16>) {
        to = rounded[i];
      } else {
        to = values[static_cast<std::size_t>(i)];
      }
      made.second[static_cast<std::size_t>(i)] = value_of(to);
    }
    return made;
  }

  template <class T>
  static std::int64_t paired(std::int64_t i, std::int64_t width) {
    const std::int64_t row = i / width, column = i % width;
    return kFormatOf<T> == Format::bf16 ? (row / 2 * width + column) * 2 + row % 2 : i;
  }

  template <class Body>
  static void in_both_formats(const Body& body) {
    body(float{});
    body(Bf16{});
  }
};

TEST_P(ProjectedImageTest, ScoresHeads) {
  for (const std::int64_t tokens : {1, 7, 40}) {
    const std::int64_t columns = score_columns(tokens);
    const Floats bias = random(columns);
    in_both_formats([&]<class T>(T) {
      const Format format = kFormatOf<T>;
      auto [image, image_is] = numbers<T>(kRows * kHeadsWidth, [&](std::int64_t i) {
        const std::int64_t channel = i % kHeadsWidth;
        return i / kHeadsWidth * kHeadsWidth +
               head_step(format, kHeads, channel / kHeadChannels, channel % kHeadChannels);
      });
      auto [token, token_is] = numbers<T>(columns * kHeadChannels, [&](std::int64_t i) {
        return head_step(format, columns, i / kHeadChannels, i % kHeadChannels);
      });
      std::vector<float> scores(static_cast<std::size_t>(kRows * columns));
      kernels().head_scores(
          {ConstRows(image.data(), kHeadsWidth), token.data(), bias.data(), kRows, columns, scores.data()});
      for (std::int64_t i = 0; i < kRows * columns; ++i) {
        const std::int64_t row = i / columns, column = i % columns;
        double sum = bias[static_cast<std::size_t>(column)];
        for (std::int64_t k = 0; k < kHeadChannels; ++k) {
          sum += image_is[static_cast<std::size_t>(row * kHeadsWidth + column % kHeads * kHeadChannels + k)] *
                 token_is[static_cast<std::size_t>(column * kHeadChannels + k)];
        }
        ASSERT_NEAR(scores[static_cast<std::size_t>(i)], sum, 2e-5) << tokens << " " << i;
      }
    });
  }
}

TEST_P(ProjectedImageTest, MixesHeads) {
  for (const std::int64_t tokens : {1, 7, 40}) {
    const std::int64_t columns = score_columns(tokens);
    in_both_formats([&]<class T>(T) {
      auto [weights, weights_are] = numbers<T>(kRows * columns, [&](std::int64_t i) { return paired<T>(i, columns); });
      auto [values, values_are] =
          numbers<T>(kRows * kHeadsWidth, [&](std::int64_t i) { return paired<T>(i, kHeadsWidth); });
      std::vector<float> out(static_cast<std::size_t>(columns * kHeadChannels));
      kernels().mix_heads({kFormatOf<T>, weights.data(), values.data(), kRows, columns, out.data()});
      for (std::int64_t i = 0; i < columns * kHeadChannels; ++i) {
        const std::int64_t column = i / kHeadChannels, channel = column % kHeads * kHeadChannels + i % kHeadChannels;
        double sum = 0;
        for (std::int64_t row = 0; row < kRows; ++row) {
          sum += weights_are[static_cast<std::size_t>(row * columns + column)] *
                 values_are[static_cast<std::size_t>(row * kHeadsWidth + channel)];
        }
        ASSERT_NEAR(out[static_cast<std::size_t>(i)], sum, 2e-5) << tokens << " " << i;
      }
    });
  }
}

TEST_P(ProjectedImageTest, PairsRows) {
  auto [rows, rows_are] = numbers<Bf16>(kRows * kHeadsWidth, [](std::int64_t i) { return i; });
  Aligned<Bf16> out(kRows * kHeadsWidth);
  kernels().pair_rows(rows.data(), kRows, kHeadsWidth, out.data());
  for (std::int64_t i = 0; i < kRows * kHeadsWidth; ++i) {
    ASSERT_EQ(value_of(out[paired<Bf16>(i, kHeadsWidth)]), rows_are[static_cast<std::size_t>(i)]) << i;
  }
}

TEST_P(ProjectedImageTest, AResidualOfBf16HasTheBitsOfItsNumbersInF32) {
  constexpr std::int64_t kIn = 64, kOut = 96;
  const Floats weight = random(kIn * kOut, 0.1F), values = random(kRows * kIn);
  auto [residual, residual_is] = numbers<Bf16>(kRows * kOut, [](std::int64_t i) { return i; });
  const Floats widened(residual_is.begin(), residual_is.end());
  for (const Format format : {Format::f32, Format::bf16}) {
    const PackedMatrix matrix = pack_matrix(weight.data(), kIn, kOut, format);
    Left left = operand(values, kRows, kIn);
    Floats sums[2];
    for (Floats& out : sums) {
      out.resize(static_cast<std::size_t>(kRows * kOut));
      ProductParams params = product_of(left, matrix, kRows);
      params.epilogue.residual = &out == sums ? ConstRows(residual.data(), kOut) : ConstRows(widened.data(), kOut);
      params.out = Rows(out.data(), kOut);
      kernels().product(params);
    }
    EXPECT_EQ(sums[0], sums[1]);
  }
}

TEST_P(ProjectedImageTest, NormalizesAndTakesGelu) {
  constexpr std::int64_t kChannels = 64;
  const Floats in = random(7 * kChannels, 3.F), weight = random(kChannels), bias = random(kChannels);
  in_both_formats([&]<class T>(T) {
    Aligned<T> out(7 * kChannels);
    NormalizeRowsParams params{in.data(), 7, kChannels, 1e-6F, weight.data(), bias.data(), false, {}};
    Aligned<float> exact(7 * kChannels);
    params.out = Rows(exact.data(), kChannels);
    kernels().normalize_rows(params);
    params.gelu = true;
    params.out = Rows(out.data(), kChannels);
    kernels().normalize_rows(params);
    for (std::int64_t i = 0; i < 7 * kChannels; ++i) {
      const double expected = exact_gelu(exact[i]);
      ASSERT_NEAR(value_of(out[i]), expected,
                  kFormatOf<T> == Format::bf16 ? 3e-4 + std::abs(expected) / 256 : 1e-6 * (1 + std::abs(exact[i])))
          << i;
    }
  });
}

INSTANTIATE_TEST_SUITE_P(EveryTarget, ProjectedImageTest, every_target(), target_name);

}  // namespace
}  // namespace medsam::kernels
