// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The mask decoder's kernels, against plain loops in double precision.
#include <algorithm>
#include <cstring>
#include <limits>

#include "kernels/encoder/encoder_kernels_test.hpp"

namespace medsam::kernels {
namespace {

constexpr std::int64_t kInner = kHeads * kHeadChannels, kChannels = 64;

double at(const Floats& values, std::int64_t i) { return values[static_cast<std::size_t>(i)]; }

class TokenAttentionTest : public EncoderKernelsTest {
 protected:
  /// Numbers as T, and what T has of them. A multiple of 16.
  template <class T>
  Aligned<T> stored(const Floats& values) {
    const auto count = static_cast<std::int64_t>(values.size());
    Aligned<T> out(count);
    if constexpr (std::is_same_v<T, Bf16>) {
      kernels().round(values.data(), out.data(), count);
    } else {
      std::copy(values.begin(), values.end(), out.data());
    }
    return out;
  }
  /// Where mix reads an element.
  template <class T>
  static std::int64_t paired(std::int64_t row, std::int64_t column, std::int64_t width) {
    return std::is_same_v<T, Bf16> ? (row / 2 * width + column) * 2 + row % 2 : row * width + column;
  }
  template <class T>
  static constexpr double kRelative = std::is_same_v<T, Bf16> ? 1.0 / 256 : 3e-6;
  template <class Body>
  static void in_both_formats(const Body& body) {
    body(float{});
    body(Bf16{});
  }
  /// Scores of `tokens`, some of them extreme and some equal; padding columns hold kNoScore.
  Floats scores(std::int64_t rows, std::int64_t tokens) {
    const std::int64_t columns = score_columns(tokens);
    Floats values = random(rows * columns, 4.F);
    for (std::int64_t i = 0; i < rows * columns; ++i) {
      float& score = values[static_cast<std::size_t>(i)];
      if (i / columns % 5 == 1) score = 0.5F;  // all alike
      if (i / columns % 5 == 2) score = i % 3 == 0 ? 80.F : -80.F;
      if (i % columns >= tokens * kHeads) score = kNoScore;
    }
    return values;
  }
};

TEST_P(TokenAttentionTest, FoldsHeads) {
  const Floats matrix = random(kInner * kChannels), bias = random(kChannels);
  for (const std::int64_t tokens : {1, 7, 40, 300}) {
    for (const bool biased : {false, true}) {
      const Floats heads = random(tokens * kInner);
      const std::int64_t columns = score_columns(tokens);
      in_both_formats([&]<class T>(T) {
        Aligned<T> out(columns * kChannels);
        kernels().fold_heads(
            {heads.data(), matrix.data(), biased ? bias.data() : nullptr, tokens, Rows(out.data(), kChannels)});
        for (std::int64_t i = 0; i < columns * kChannels; ++i) {
          const std::int64_t row = i / kChannels, c = i % kChannels;
          const bool padding = row >= tokens * kHeads;
          double sum = biased && !padding ? at(bias, c) : 0;
          for (std::int64_t k = 0; !padding && k < kHeadChannels; ++k) {
            sum += at(heads, row * kHeadChannels + k) * at(matrix, (row % kHeads * kHeadChannels + k) * kChannels + c);
          }
          ASSERT_NEAR(value_of(out[i]), sum, padding ? 0 : 1e-5 + std::abs(sum) * kRelative<T>) << tokens << " " << i;
        }
      });
    }
  }
}

TEST_P(TokenAttentionTest, UnfoldsHeads) {
  const Floats matrix = random(kChannels * kInner), bias = random(kInner);
  for (const std::int64_t tokens : {1, 7, 40}) {
    Floats columns = random(score_columns(tokens) * kChannels);
    std::fill(columns.begin() + tokens * kHeads * kChannels, columns.end(), std::nanf(""));
    Aligned<float> out(tokens * kInner);
    kernels().unfold_heads({columns.data(), matrix.data(), bias.data(), tokens, kChannels, out.data()});
    for (std::int64_t i = 0; i < tokens * kInner; ++i) {
      const std::int64_t token = i / kInner, to = i % kInner, row = token * kHeads + to / kHeadChannels;
      double sum = at(bias, to);
      for (std::int64_t c = 0; c < kChannels; ++c)
        sum += at(columns, row * kChannels + c) * at(matrix, c * kInner + to);
      ASSERT_NEAR(out[i], sum, 5e-5) << tokens << " " << i;
    }
  }
}

TEST_P(TokenAttentionTest, SoftensHeads) {
  for (const std::int64_t tokens : {1, 7, 40, 300}) {  // of 300 the weights are not kept
    const std::int64_t rows = 11, columns = score_columns(tokens);
    const Floats in = scores(rows, tokens);
    in_both_formats([&]<class T>(T) {
      Aligned<T> out(rows * columns);
      kernels().soften_heads({in.data(), rows, columns, Rows(out.data(), columns)});
      for (std::int64_t row = 0; row < rows; ++row) {
        for (std::int64_t head = 0; head < kHeads; ++head) {
          double largest = -1e300, total = 0;
          for (std::int64_t c = head; c < columns; c += kHeads) largest = std::max(largest, at(in, row * columns + c));
          for (std::int64_t c = head; c < columns; c += kHeads) total += std::exp(at(in, row * columns + c) - largest);
          for (std::int64_t c = head; c < columns; c += kHeads) {
            const double weight = std::exp(at(in, row * columns + c) - largest) / total;
            ASSERT_NEAR(value_of(out[row * columns + c]), weight, 1e-30 + weight * kRelative<T> * 1.1)
                << tokens << " " << row << " " << c;
          }
        }
      }
    });
  }
}

TEST_P(TokenAttentionTest, SoftensColumns) {
  for (const std::int64_t rows : {2, 68, 254, 256}) {
    for (const std::int64_t tokens : {1, 7, 40}) {
      const std::int64_t columns = score_columns(tokens);
      const Floats in = scores(rows, tokens);
      in_both_formats([&]<class T>(T) {
        Aligned<T> weights(rows * columns);
        Aligned<float> largest(columns), sums(columns);
        kernels().soften_columns({in.data(), rows, columns, kFormatOf<T>, weights.data(), largest.data(), sums.data()});
        for (std::int64_t c = 0; c < columns; ++c) {
          double top = -1e300, total = 0;
          for (std::int64_t row = 0; row < rows; ++row) top = std::max(top, at(in, row * columns + c));
          for (std::int64_t row = 0; row < rows; ++row) {
            const double weight = std::exp(at(in, row * columns + c) - top);
            total += weight;
            ASSERT_NEAR(value_of(weights[paired<T>(row, c, columns)]), weight, 1e-30 + weight * kRelative<T> * 1.1);
          }
          EXPECT_EQ(largest[c], static_cast<float>(top));
          EXPECT_NEAR(sums[c], total, total * (std::is_same_v<T, Bf16> ? 2e-4 : 1e-5));
        }
      });
    }
  }
}

TEST_P(TokenAttentionTest, MixesRows) {
  for (const std::int64_t rows : {2, 68, 254, 256}) {
    for (const std::int64_t columns : {32, 64, 320}) {
      const Floats weights = random(rows * columns), values = random(rows * kChannels);
      in_both_formats([&]<class T>(T) {
        Aligned<T> w = stored<T>(weights), v = stored<T>(values);
        Aligned<float> out(columns * kChannels);
        kernels().mix({kFormatOf<T>, w.data(), v.data(), rows, columns, kChannels, out.data()});
        for (std::int64_t i = 0; i < columns * kChannels; ++i) {
          double sum = 0;
          for (std::int64_t row = 0; row < rows; ++row) {
            sum += value_of(w[paired<T>(row, i / kChannels, columns)]) *
                   value_of(v[paired<T>(row, i % kChannels, kChannels)]);
          }
          ASSERT_NEAR(out[i], sum, 2e-4) << rows << " " << columns << " " << i;
        }
      });
    }
  }
}

TEST_P(TokenAttentionTest, MergesPieces) {
  const std::int64_t columns = 32;
  for (const std::int64_t pieces : {1, 2, 16}) {
    const Floats mixed = random(pieces * columns * kChannels);
    Floats largest = random(pieces * columns, 20.F), sums = random(pieces * columns);
    for (float& sum : sums) sum = std::abs(sum) + 1;
    for (std::int64_t i = 0; i < pieces * columns; ++i) {
      float& top = largest[static_cast<std::size_t>(i)];
      if (i % columns >= 24) top = i / columns % 2 == 0 ? 80.F : -80.F;
      if (i % columns >= 28) top = kNoScore;
    }
    Aligned<float> out(columns * kChannels);
    kernels().merge({mixed.data(), largest.data(), sums.data(), pieces, columns, kChannels, out.data()});
    for (std::int64_t i = 0; i < columns * kChannels; ++i) {
      const std::int64_t column = i / kChannels;
      double top = -1e300, total = 0, sum = 0;
      for (std::int64_t p = 0; p < pieces; ++p) top = std::max(top, at(largest, p * columns + column));
      for (std::int64_t p = 0; p < pieces; ++p) {
        const double weight = std::exp(at(largest, p * columns + column) - top);
        total += weight * at(sums, p * columns + column);
        sum += weight * at(mixed, p * columns * kChannels + i);
      }
      ASSERT_NEAR(out[i], sum / total, 1e-5) << pieces << " " << i;
    }
  }
}

// The normalized rows and their operands in one step have the bits of the two steps.
TEST_P(TokenAttentionTest, NormalizesAnImageAsInTwoSteps) {
  const std::int64_t channels = 256;
  for (const std::int64_t rows : {2, 6, 64, 254}) {
    const Floats in = random(rows * channels, 3.F), weight = random(channels), bias = random(channels);
    const Floats places = random(rows * channels);
    in_both_formats([&]<class T>(T) {
      Aligned<T> positions = stored<T>(places), image(rows * channels), keys(rows * channels);
      Aligned<T> image_at_once(rows * channels), keys_at_once(rows * channels);
      Aligned<Bf16> values(rows * channels), values_at_once(rows * channels);
      const bool pairs = std::is_same_v<T, Bf16>;
      NormalizeRowsParams params;
      params.in = in.data();
      params.rows = rows;
      params.channels = channels;
      params.eps = 1e-5F;
      params.weight = weight.data();
      params.bias = bias.data();
      params.out = Rows(image.data(), channels);
      kernels().normalize_rows(params);
      const ConstRows of_positions(positions.data(), channels);
      kernels().image_operands(
          {params.out, of_positions, rows, Rows(keys.data(), channels), pairs ? values.data() : nullptr});
      params.out = Rows(image_at_once.data(), channels);
      kernels().normalize_image(
          params,
          {{}, of_positions, rows, Rows(keys_at_once.data(), channels), pairs ? values_at_once.data() : nullptr});
      const std::size_t bytes = static_cast<std::size_t>(rows * channels) * sizeof(T);
      EXPECT_EQ(std::memcmp(image.data(), image_at_once.data(), bytes), 0) << rows;
      EXPECT_EQ(std::memcmp(keys.data(), keys_at_once.data(), bytes), 0) << rows;
      for (std::int64_t i = 0; i < rows * channels; ++i) {
        const double key = value_of(image[i]) + value_of(positions[i]);
        ASSERT_NEAR(value_of(keys[i]), key, 1e-6 + std::abs(key) * kRelative<T>);
        if (!pairs) continue;
        const std::int64_t place = paired<Bf16>(i / channels, i % channels, channels);
        ASSERT_EQ(value_of(values[place]), value_of(image[i]));
        ASSERT_EQ(values_at_once[place].bits, values[place].bits);
      }
    });
  }
}

TEST_P(TokenAttentionTest, MakesLogits) {
  for (const std::int64_t tokens : {1, 3, 32}) {
    const std::int64_t masks = 3, stride = 4 * tokens + 5, mask_stride = 4 * stride + 7;
    const Floats children = random(tokens * 16 * kBlock), masks_kernels = random(masks * kBlock);
    Floats out(static_cast<std::size_t>(masks * mask_stride), 7.F);
    kernels().mask_logits({children.data(), tokens, masks_kernels.data(), masks, out.data(), stride, mask_stride});
    for (std::int64_t i = 0; i < masks * mask_stride; ++i) {
      const std::int64_t mask = i / mask_stride, y = i % mask_stride / stride, x = i % mask_stride % stride;
      if (y >= 4 || x >= 4 * tokens) {
        ASSERT_EQ(at(out, i), 7) << "not a logit";
        continue;
      }
      const std::int64_t child = (x / 4 * 4 + y / 2 * 2 + x % 4 / 2) * 4 + y % 2 * 2 + x % 2;
      double sum = 0;
      for (std::int64_t c = 0; c < kBlock; ++c)
        sum += at(children, child * kBlock + c) * at(masks_kernels, mask * kBlock + c);
      ASSERT_NEAR(at(out, i), sum, 2e-5) << i;
    }
  }
}

TEST_P(TokenAttentionTest, TakesNoNegatives) {
  Floats values = random(96);
  values[5] = -0.F;
  values[6] = std::numeric_limits<float>::infinity();
  const Floats before = values;
  kernels().relu(values.data(), 96);
  for (std::int64_t i = 0; i < 96; ++i) EXPECT_EQ(at(values, i), std::max(at(before, i), 0.0));
}

// What a matrix is packed to again is what it would have been packed to at first.
TEST_P(TokenAttentionTest, PacksAgain) {
  const std::int64_t in = 64, out = 96;
  const Floats matrix = random(in * out);
  Floats turned(matrix.size());
  for (std::int64_t i = 0; i < in * out; ++i) {
    turned[static_cast<std::size_t>(i % out * in + i / out)] = matrix[static_cast<std::size_t>(i)];
  }
  in_both_formats([&]<class T>(T) {
    const PackedMatrix expected = pack_matrix(matrix.data(), in, out, kFormatOf<T>);
    PackedMatrix rows = unpacked_matrix(in, out, kFormatOf<T>), columns = unpacked_matrix(in, out, kFormatOf<T>);
    Aligned<T> as_rows = stored<T>(matrix), as_columns = stored<T>(turned);
    pack_rows(ConstRows(as_rows.data(), out), rows);
    pack_columns(ConstRows(as_columns.data(), in), columns);
    for (const PackedMatrix* packed : {&rows, &columns}) {
      EXPECT_EQ(packed->chunks, expected.chunks);
      EXPECT_EQ(std::memcmp(packed->data<T>(), expected.data<T>(), static_cast<std::size_t>(in * out) * sizeof(T)), 0);
    }
  });
}

INSTANTIATE_TEST_SUITE_P(EveryTarget, TokenAttentionTest, every_target(), target_name);

}  // namespace
}  // namespace medsam::kernels
