// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// upsample_threshold: every table against the oracle, to the bit, at vector tails, crops, strides, label types and
// thresholds, also with logits at the threshold; the oracle against masks recorded from torch 2.13
// (F.interpolate(mode="bilinear", align_corners=False) > threshold, no value within 1e-3 of the threshold).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "kernels/support/tables_under_test.hpp"
#include "kernels/support/test_image.hpp"

namespace medsam::kernels {
namespace {

constexpr std::uint8_t kOld = 0xEE;  // what lies in the label map before

std::size_t label_bytes(LabelType type) { return type == LabelType::u8 ? 1 : type == LabelType::u16 ? 2 : 4; }

struct Painted {
  std::vector<std::uint8_t> memory;  // the label map with its gaps between rows
  MaskStats stats;
};

struct Case {
  std::vector<float> logits;
  std::int64_t stride, unpadded_height, unpadded_width, height, width;
  float threshold;
};

Painted paint(const KernelTable& table, const Case& c, LabelType type, bool bottom_up = false) {
  const std::int64_t stride = c.width * static_cast<std::int64_t>(label_bytes(type)) + 12;
  Painted result{std::vector<std::uint8_t>(static_cast<std::size_t>(c.height * stride), kOld), {}};
  std::uint8_t* first = result.memory.data() + (bottom_up ? (c.height - 1) * stride : 0);
  result.stats = run_upsample(table, {c.logits.data(), c.stride, c.unpadded_height, c.unpadded_width, c.height, c.width,
                                      c.threshold, first, type, bottom_up ? -stride : stride, 0x42});
  return result;
}

bool equal(const MaskStats& a, const MaskStats& b) {
  return a.area == b.area && a.x0 == b.x0 && a.y0 == b.y0 && a.x1 == b.x1 && a.y1 == b.y1;
}

void expect_tables_agree(const Case& c, LabelType type, bool bottom_up = false) {
  const Painted expected = paint(reference_table(), c, type, bottom_up);
  for (const KernelTable* table : tables_under_test()) {
    const Painted got = paint(*table, c, type, bottom_up);
    EXPECT_EQ(count_different(got.memory, expected.memory), 0U)
        << table->name << " labels of " << label_bytes(type) << " bytes, crop " << c.unpadded_height << "x"
        << c.unpadded_width << " to " << c.height << "x" << c.width << ", threshold " << c.threshold;
    EXPECT_TRUE(equal(got.stats, expected.stats))
        << table->name << " area " << got.stats.area << " of " << expected.stats.area;
  }
}

enum class Logits : std::uint8_t { noise, object, at_threshold, specials };

Case make_case(Logits kind, std::int64_t unpadded_height, std::int64_t unpadded_width, std::int64_t height,
               std::int64_t width, float threshold, std::uint32_t seed) {
  Case c{{}, unpadded_width + 3, unpadded_height, unpadded_width, height, width, threshold};
  std::mt19937 random(seed);
  std::normal_distribution<float> noise;
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const float specials[] = {kInf, -kInf, std::numeric_limits<float>::quiet_NaN(), 0.F, -0.F, threshold, 1e-40F, -1.F};
  for (std::int64_t y = 0; y < unpadded_height; ++y) {
    for (std::int64_t x = 0; x < c.stride; ++x) {
      const float dx = static_cast<float>(x) - static_cast<float>(unpadded_width) / 3.F;
      const float dy = static_cast<float>(y) - static_cast<float>(unpadded_height) / 2.F;
      float value = noise(random);
      if (x >= unpadded_width)
        value = 1e9F;  // outside the crop: must not show
      else if (kind == Logits::object)
        value = 4.F + value - std::sqrt(dx * dx + dy * dy);
      else if (kind == Logits::at_threshold)
        value = threshold + (random() % 7 == 0 ? 1e-7F : 0.F);
      else if (kind == Logits::specials)
        value = specials[random() % 8];
      c.logits.push_back(value);
    }
  }
  return c;
}

constexpr LabelType kLabelTypes[] = {LabelType::u8, LabelType::u16, LabelType::u32};
constexpr Logits kLogits[] = {Logits::noise, Logits::object, Logits::at_threshold, Logits::specials};

TEST(UpsampleThreshold, TablesAgreeAtAllTails) {
  std::uint32_t seed = 1;
  for (const std::int64_t crop : kTails) {
    for (const std::int64_t out : kTails) {
      for (const Logits kind : kLogits) {
        const float threshold = seed % 3 == 0 ? 0.F : seed % 3 == 1 ? 0.4F : -0.7F;
        expect_tables_agree(make_case(kind, 7, crop, 19, out, threshold, seed), kLabelTypes[seed % 3], seed % 2 == 0);
        expect_tables_agree(make_case(kind, crop, 9, out, 21, threshold, seed), kLabelTypes[seed % 3], seed % 2 == 0);
        ++seed;
      }
    }
  }
}

TEST(UpsampleThreshold, TablesAgreeAtImageSizes) {
  std::uint32_t seed = 1;
  for (const LabelType type : kLabelTypes) {
    for (const Logits kind : kLogits) {
      expect_tables_agree(make_case(kind, 256, 167, 509, 333, 0.F, ++seed), type);
      expect_tables_agree(make_case(kind, 64, 64, 64, 64, 5.9e-8F, ++seed), type);    // same size
      expect_tables_agree(make_case(kind, 256, 200, 33, 41, 0.F, ++seed), type);      // smaller
      expect_tables_agree(make_case(kind, 256, 250, 1000, 251, 1.5F, ++seed), type);  // barely larger in x
    }
  }
}

struct Recorded {
  std::int64_t unpadded_height, unpadded_width, height, width;
  float threshold;
  std::vector<float> logits;
  std::vector<std::string> mask;
};

// NOLINTNEXTLINE(bugprone-throwing-static-initialization): out of memory at start-up ends the test anyway
const Recorded kTorch[] = {
    {4,
     5,
     9,
     13,
     0.0F,
     {0.25F,  -0.26F, 1.28F,  0.21F,  -1.07F, 0.72F,  2.61F,  1.89F,  -1.41F, -2.53F,
      -1.25F, 0.08F,  -4.65F, -0.44F, -2.49F, -1.46F, -1.09F, -0.63F, 0.82F,  2.09F},
     {"###.######...", "#########....", "########.....", "########.....", "..###........", "...#.........",
      ".............", "........#####", "........#####"}},
    {6,
     4,
     3,
     7,
     0.0F,
     {0.25F,  -0.26F, 1.28F,  0.21F,  -1.07F, 0.72F,  2.61F, 1.89F, -1.41F, -2.53F, -1.25F, 0.08F,
      -4.65F, -0.44F, -2.49F, -1.46F, -1.09F, -0.63F, 0.82F, 2.09F, -0.26F, 2.73F,  -1.33F, 0.7F},
     {"..#####", ".......", "..##.##"}},
    {5,
     5,
     5,
     5,
     0.25F,
     {0.69F,  1.64F,  0.66F, -2.61F, 1.81F,  0.89F,  -1.07F, 1.16F, 0.73F,  0.59F, 0.06F, 1.09F, -1.47F,
      -0.33F, -0.96F, 1.2F,  0.08F,  -0.58F, -1.56F, -0.51F, 0.02F, -0.55F, 2.59F, 2.01F, -5.42F},
     {"###.#", "#.###", ".#...", "#....", "..##."}},
};

TEST(UpsampleThreshold, MatchesMasksRecordedFromTorch) {
  for (const Recorded& r : kTorch) {
    for (const KernelTable* table : tables_under_test()) {
      const Case c{r.logits, r.unpadded_width, r.unpadded_height, r.unpadded_width, r.height, r.width, r.threshold};
      const Painted got = paint(*table, c, LabelType::u8);
      MaskStats stats{0, r.width, r.height, -1, -1};
      for (std::int64_t y = 0; y < r.height; ++y) {
        for (std::int64_t x = 0; x < r.width; ++x) {
          const bool inside = r.mask[static_cast<std::size_t>(y)][static_cast<std::size_t>(x)] == '#';
          EXPECT_EQ(got.memory[static_cast<std::size_t>(y * (r.width + 12) + x)], inside ? 0x42 : kOld)
              << table->name << " at " << x << ", " << y;
          if (!inside) continue;
          stats = {stats.area + 1, std::min(stats.x0, x), std::min(stats.y0, y), std::max(stats.x1, x),
                   std::max(stats.y1, y)};
        }
      }
      EXPECT_TRUE(equal(got.stats, stats)) << table->name;
    }
  }
}

TEST(UpsampleThreshold, EmptyMaskWritesNothing) {
  for (const KernelTable* table : tables_under_test()) {
    const Case c{std::vector<float>(64, -1.F), 8, 8, 8, 30, 40, 0.F};
    const Painted got = paint(*table, c, LabelType::u16);
    EXPECT_EQ(std::count(got.memory.begin(), got.memory.end(), kOld), static_cast<std::ptrdiff_t>(got.memory.size()));
    EXPECT_TRUE(equal(got.stats, {0, 0, 0, -1, -1})) << table->name;
  }
}

TEST(UpsampleThreshold, FullMaskCoversTheImage) {
  for (const KernelTable* table : tables_under_test()) {
    const Case c{std::vector<float>(64, 1.F), 8, 8, 8, 30, 41, 0.F};
    EXPECT_TRUE(equal(paint(*table, c, LabelType::u16).stats, {std::int64_t{30} * 41, 0, 0, 40, 29})) << table->name;
  }
}

TEST(UpsampleThreshold, LargestLabelsAreWrittenWhole) {
  constexpr std::uint32_t kLargest[] = {0xFF, 0xFFFF, 0xFFFFFFFF};
  const std::vector<float> logits(4, 1.F);
  for (const KernelTable* table : tables_under_test()) {
    for (int i = 0; i < 3; ++i) {
      std::vector<std::uint32_t> out(19, 0);
      run_upsample(*table, {logits.data(), 2, 2, 2, 1, 19, 0.F, out.data(), kLabelTypes[i], 0, kLargest[i]});
      const auto* bytes = reinterpret_cast<const std::uint8_t*>(out.data());
      const auto written = static_cast<std::ptrdiff_t>(19 * label_bytes(kLabelTypes[i]));
      EXPECT_EQ(std::count(bytes, bytes + written, 0xFF), written) << table->name;
      EXPECT_EQ(std::count(bytes + written, bytes + sizeof(std::uint32_t) * 19, 0),
                static_cast<std::ptrdiff_t>(sizeof(std::uint32_t) * 19) - written);
    }
  }
}

}  // namespace
}  // namespace medsam::kernels
