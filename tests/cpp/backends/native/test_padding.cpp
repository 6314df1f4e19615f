// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Images that are not all content: the same embedding to the bit as when everything is computed, on every target of
// this processor, in both formats and with any number of threads.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <thread>

#include "backends/native/padding.hpp"
#include "backends/native/tiny_vit.hpp"
#include "support/tiny_vit_file.hpp"

namespace medsam::backends::native {
namespace {

// Windows that are whole, cut at one side and at both, and enough of them that a smaller image serves for all passes
// but the neck.
constexpr std::int64_t kSide = 128;
constexpr std::size_t kPasses = 5;
const testing::TinyVitSizes kSizes = {.input = kSide, .window = 5};

constexpr Format kHalf = Format::bf16, kFull = Format::f32;
constexpr Precision kRounded = {kFull, kHalf, kHalf, kFull, kHalf, kHalf, kHalf};
constexpr Precision kExact = {kFull, kFull, kFull, kFull, kFull, kFull, kFull};

Network load(const Precision& precision, const testing::TinyVitSizes& sizes = kSizes) {
  const std::string bytes = testing::tiny_vit_file(sizes).bytes();
  return load_tiny_vit(Weights("weights", bytes), precision);
}

/// Zeros, but for content in the box: values of [0, 1], 0 among them, though not in its corners.
std::vector<float> image_with(const Region& box) {
  std::vector<float> planes(3 * kSide * kSide, 0.F);
  for (std::int64_t p = 0; p < 3; ++p) {
    for (std::int64_t y = box.rows.begin; y < box.rows.end; ++y) {
      for (std::int64_t x = box.columns.begin; x < box.columns.end; ++x) {
        planes[size((p * kSide + y) * kSide + x)] = static_cast<float>((p * 7 + y * 31 + x * 17) % 101) / 101;
      }
    }
  }
  for (const std::int64_t y : {box.rows.begin, box.rows.end - 1}) {
    for (const std::int64_t x : {box.columns.begin, box.columns.end - 1}) {
      if (!box.empty()) planes[size(y * kSide + x)] = 1.F;
    }
  }
  return planes;
}

std::vector<Region> boxes() {
  std::vector<Region> boxes = {{{0, 80}, {0, kSide}},    {{0, kSide}, {0, 80}},         {{0, 0}, {0, 0}},
                               {{0, 1}, {0, 1}},         {{kSide - 1, kSide}, {0, 40}}, {{0, 40}, {kSide - 1, kSide}},
                               {{1, kSide}, {0, kSide}}, {{0, kSide}, {1, kSide}},      {{63, 64}, {63, 65}},
                               {{0, kSide}, {0, kSide}}, {{60, 128}, {0, kSide}},       {{0, kSide}, {97, 99}}};
  std::mt19937 random(5);  // NOLINT(bugprone-random-generator-seed): the same boxes every time
  const auto span = [&] {
    const auto a = static_cast<std::int64_t>(random() % (kSide + 1)), b = static_cast<std::int64_t>(random() % kSide);
    return Span{std::min(a, b), std::max(a, b + 1)};
  };
  for (int i = 0; i < 4; ++i) boxes.push_back({span(), span()});
  return boxes;
}

/// A workspace full of NaN: what was not written must not be read.
Workspace poisoned(const Network& network, const ThreadPool& threads) {
  Workspace workspace(network, threads.size());
  const std::size_t count = network.footprint().features;
  for (const std::size_t buffer : {0U, 1U}) {
    std::fill(workspace.features(buffer), workspace.features(buffer) + count, std::nanf(""));
  }
  return workspace;
}

std::size_t output_size(const Network& network) {
  std::size_t size = 1;
  for (const std::int64_t d : network.output_shape) size *= static_cast<std::size_t>(d);
  return size;
}

bool same(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

class Padding : public ::testing::TestWithParam<const EncoderTarget*> {};

TEST_P(Padding, TheEmbeddingIsTheSameToTheBit) {
  for (const Precision* precision : {&kRounded, &kExact}) {
    const Network network = load(*precision);
    std::vector<float> whole(output_size(network)), padded(whole.size());
    ThreadPool all(0);
    int threads = 0;
    for (const Region& box : boxes()) {
      // Products of bf16 without instructions for them take a second and more; one box of each kind is enough there.
      if (precision == &kRounded && !GetParam()->fast_bf16 && threads == 3) break;
      const std::vector<float> image = image_with(box);
      Workspace workspace = poisoned(network, all);
      run(network, {GetParam(), &all}, image.data(), workspace, whole.data());
      ThreadPool some(1 + threads++ % 3);
      const Machine machine = {GetParam(), &some};
      const Blank blank(network, machine);
      Workspace other = poisoned(network, some);
      std::fill(padded.begin(), padded.end(), std::nanf(""));
      run(network, machine, blank, image.data(), other, padded.data());
      EXPECT_TRUE(same(whole, padded)) << box.rows.begin << " to " << box.rows.end << ", " << box.columns.begin
                                       << " to " << box.columns.end << (precision == &kExact ? " f32" : " rounded");
    }
  }
}

TEST_P(Padding, TheBlankImageIsThatOfTheNetworksOwnSize) {
  const Network network = load(kRounded);
  ThreadPool threads(2);
  const Machine machine = {GetParam(), &threads};
  const Blank blank(network, machine);
  Workspace workspace = poisoned(network, threads), other = poisoned(network, threads);
  const std::vector<BlankFeatures>& passes = blank.passes(workspace);
  ASSERT_EQ(passes.size(), kPasses);
  const std::vector<float> zeros = image_with({{0, 0}, {0, 0}});
  Frame frame(machine, other, {zeros.data(), kSide, nullptr}, kSide);
  for (std::size_t i = 0; i < kPasses; ++i) {
    network.passes[i]->run(frame);
    const std::int64_t side = i < 2 ? kSide : kSide / 2, channels = passes[i].channels;
    ASSERT_EQ(passes[i].kind_of.size(), size(side));
    bool equal = true;
    for (std::int64_t t = 0; t < side * side; ++t) {
      equal &= std::memcmp(passes[i].token(t / side, t % side), frame.features() + t * channels,
                           size(channels) * sizeof(float)) == 0;
    }
    EXPECT_TRUE(equal) << "pass " << i;
  }
}

std::string target_name(const ::testing::TestParamInfo<const EncoderTarget*>& param) {
  return std::string(param.param->target) + (param.param->fast_bf16 ? std::string("_") + param.param->name : "");
}

INSTANTIATE_TEST_SUITE_P(EveryTarget, Padding, ::testing::ValuesIn(kernels::available_encoder_targets()), target_name);

TEST(PaddedImages, SeveralAtOnceOnOneNetwork) {
  const Network network = load(kExact);
  ThreadPool threads(0);
  const Machine machine = {kernels::available_encoder_targets().back(), &threads};
  const Blank blank(network, machine);
  const std::vector<float> image = image_with({{0, 80}, {0, 100}});
  std::vector<std::vector<float>> embeddings(4, std::vector<float>(output_size(network)));
  std::vector<std::thread> callers;
  for (std::vector<float>& embedding : embeddings) {
    callers.emplace_back([&] {
      Workspace workspace(network, threads.size());
      run(network, machine, blank, image.data(), workspace, embedding.data());
    });
  }
  for (std::thread& caller : callers) caller.join();
  for (const std::vector<float>& embedding : embeddings) EXPECT_TRUE(same(embedding, embeddings[0]));
}

TEST(PaddedImages, ANetworkWithoutASmallerImageComputesEverything) {
  // Of 32 pixels: no ninth of it has the windows of all of it.
  const Network network = load(kExact, {});
  ThreadPool threads(1);
  const Machine machine = {kernels::available_encoder_targets().back(), &threads};
  const Blank blank(network, machine);
  Workspace workspace = poisoned(network, threads);
  EXPECT_LT(blank.passes(workspace).size(), kPasses);
  std::vector<float> image(3 * 32 * 32, 0.F), whole(output_size(network)), padded(whole.size());
  image[32 * 5 + 7] = 0.5F;
  run(network, machine, image.data(), workspace, whole.data());
  Workspace other = poisoned(network, threads);
  run(network, machine, blank, image.data(), other, padded.data());
  EXPECT_TRUE(same(whole, padded));
}

TEST(PaddedImages, ContentIsWhatHasABitSet) {
  const auto expect = [](const std::vector<float>& image, const Region& box) {
    const Region found = content_of(image.data(), kSide);
    EXPECT_EQ(found.empty(), box.empty());
    EXPECT_TRUE(box.empty() || (found.contains(box) && box.contains(found)))
        << box.rows.begin << " " << box.columns.begin;
  };
  for (const Region& box : boxes()) expect(image_with(box), box);
  for (const float value : {-0.F, std::nanf(""), 1e-45F}) {
    for (const std::int64_t plane : {0, 1, 2}) {
      std::vector<float> image = image_with({{0, 0}, {0, 0}});
      image[size((plane * kSide + 9) * kSide + 30)] = value;
      expect(image, {{9, 10}, {30, 31}});
    }
  }
}

/// By the definition, token by token.
TEST(PaddedImages, ALocalityKnowsWhatItReadsAndWrites) {
  const Locality kinds[] = {{1, 0, 1, 32}, {1, 1, 1, 32}, {1, 1, 2, 32}, {1, 2, 1, 32}, {5, 0, 1, 32}, {40, 0, 1, 32}};
  const std::int64_t side = 24;
  for (const Locality& locality : kinds) {
    const auto reads = [&](std::int64_t out, std::int64_t in) {
      if (locality.window > 1) return out / locality.window == in / locality.window;
      return std::abs(out * locality.stride - in) <= locality.radius;
    };
    for (std::int64_t begin = 0; begin < side; ++begin) {
      for (std::int64_t end = begin + 1; end <= side; ++end) {
        const Span written = locality.written(Span{begin, end}, side);
        for (std::int64_t out = 0; out < side / locality.stride; ++out) {
          bool any = false;
          for (std::int64_t in = begin; in < end; ++in) any |= reads(out, in);
          EXPECT_EQ(any, written.contains({out, out + 1})) << begin << " " << end << " " << out;
        }
        if (end > side / locality.stride) continue;
        const Span read = locality.read(Span{begin, end}, side);
        for (std::int64_t in = 0; in < side; ++in) {
          bool any = false;
          for (std::int64_t out = begin; out < end; ++out) any |= reads(out, in);
          // What lies between two tokens that are read counts as read.
          EXPECT_TRUE(!any || read.contains({in, in + 1})) << begin << " " << end << " " << in;
        }
        EXPECT_TRUE(reads(begin, read.begin) && reads(end - 1, read.end - 1)) << "no more than is read";
      }
    }
  }
  EXPECT_TRUE(kinds[1].written(Region{{0, 0}, {3, 5}}, side).empty());
}

}  // namespace
}  // namespace medsam::backends::native
