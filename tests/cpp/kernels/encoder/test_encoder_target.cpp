// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What an encoder computes with: the fastest that the processor has, under any release of Highway and its names of
// targets, and the oracle never passed off as fast.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "kernels/encoder/encoder_kernels.hpp"
#include "kernels/pixels/pixel_kernels.hpp"

namespace medsam::kernels {
namespace {

EncoderKernels kernels_of(const char* name, const char* target, bool native_bf16) {
  EncoderKernels made{};
  made.name = name;
  made.target = target;
  made.native_bf16 = native_bf16;
  return made;
}

const BlockProduct kOracle{"SCALAR", nullptr, nullptr, nullptr, false, false};
const BlockProduct kDots{"AVX512_BF16", nullptr, nullptr, nullptr, true, true};
const BlockProduct kTiles{"AMX", nullptr, nullptr, nullptr, true, false};

void expect(const EncoderTarget& got, const EncoderKernels& kernels, const BlockProduct& product, bool fast) {
  EXPECT_STREQ(got.kernels->name, kernels.name);
  EXPECT_STREQ(got.product->name, product.name);
  EXPECT_EQ(got.fast_bf16, fast);
}

TEST(EncoderTarget, IsTheFastestUnderAnyNameOfATarget) {
  const EncoderKernels emulated = kernels_of("EMU128", "EMU128", false), avx2 = kernels_of("AVX2", "AVX2", false);
  for (const char* target : {"AVX3", "AVX3_DL", "AVX3_ZEN4", "AVX3_SPR", "AVX10_2"}) {
    const std::string name = std::string(target) + "_BF16";
    const EncoderKernels plain = kernels_of(target, target, false), native = kernels_of(name.c_str(), target, true);
    const std::vector<const EncoderKernels*> kernels{&emulated, &avx2, &plain, &native};
    expect(choose_encoder_target(target, kernels, {&kOracle, &kDots, &kTiles}), native, kTiles, true);
    expect(choose_encoder_target(target, kernels, {&kOracle, &kDots}), native, kDots, true);
    expect(choose_encoder_target(target, {&emulated, &avx2, &plain}, {&kOracle}), plain, kOracle, false);
    expect(choose_encoder_target("AVX2", kernels, {&kOracle, &kDots, &kTiles}), avx2, kOracle, false);
    expect(choose_encoder_target("SCALAR", kernels, {&kOracle, &kDots, &kTiles}), emulated, kOracle, false);
  }
}

TEST(EncoderTarget, NeverCallsTheOracleFast) {
  // Highway's own targets on Arm: one of them ends as our native kernels' names do.
  const EncoderKernels neon = kernels_of("NEON", "NEON", false), bf16 = kernels_of("NEON_BF16", "NEON_BF16", false);
  const std::vector<const EncoderKernels*> kernels{&neon, &bf16};
  expect(choose_encoder_target("NEON", kernels, {&kOracle}), neon, kOracle, false);
  expect(choose_encoder_target("NEON_BF16", kernels, {&kOracle}), bf16, kOracle, false);
  const EncoderKernels native = kernels_of("AVX3_BF16", "AVX3", true);
  expect(choose_encoder_target("AVX3", {&neon, &native}, {&kOracle}), neon, kOracle, false);
}

TEST(EncoderTarget, EveryTableHasANameOfItsOwnAndATarget) {
  std::set<std::string> names, targets;
  for (const EncoderKernels* kernels : available_encoder_kernels()) {
    EXPECT_TRUE(names.insert(kernels->name).second) << kernels->name << " twice";
    targets.insert(kernels->target);
  }
  for (const KernelTable* table : available_tables()) {
    if (table == &reference_table()) continue;
    EXPECT_EQ(targets.count(table->name), 1U) << table->name;
  }
}

#if defined(__linux__) && defined(__x86_64__)
// As Linux tells it, and so apart from how the kernels ask.
TEST(EncoderTarget, OfThisProcessorIsTheFastestItHas) {
  const char* forced = std::getenv("MEDSAM_ENGINE_SIMD");
  if (forced != nullptr && *forced != '\0') GTEST_SKIP() << "MEDSAM_ENGINE_SIMD=" << forced;
  std::set<std::string> flags;
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; flags.empty() && std::getline(cpuinfo, line);) {
    if (line.rfind("flags", 0) != 0) continue;
    std::istringstream words(line);
    for (std::string word; words >> word;) flags.insert(word);
  }
  ASSERT_FALSE(flags.empty());
  const bool dots = flags.count("avx512_bf16") != 0, tiles = flags.count("amx_bf16") != 0;
  const EncoderTarget target = encoder_target();
  RecordProperty("kernels", target.kernels->name);
  RecordProperty("product", target.product->name);
  EXPECT_EQ(target.fast_bf16, dots) << target.kernels->name << " " << target.product->name;
  EXPECT_STREQ(target.product->name, dots ? tiles ? "AMX" : "AVX512_BF16" : "SCALAR") << target.kernels->name;
  EXPECT_STREQ(target.kernels->target, table().name);
  EXPECT_EQ(target.kernels->native_bf16, dots);
  EXPECT_EQ(target.kernels->fused_multiply_add, flags.count("fma") != 0);
}
#endif

}  // namespace
}  // namespace medsam::kernels
