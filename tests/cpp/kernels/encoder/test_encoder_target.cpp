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

#include "kernels/base/target.hpp"
#include "kernels/encoder/encoder_kernels.hpp"
#include "kernels/pixels/pixel_kernels.hpp"

namespace medsam::kernels {
namespace {

EncoderTarget target_of(const char* name, const char* target, bool fast_bf16) {
  EncoderTarget made{};
  made.name = name;
  made.target = target;
  made.fast_bf16 = fast_bf16;
  return made;
}

TEST(EncoderTarget, IsTheFastestUnderAnyNameOfATarget) {
  const EncoderTarget emulated = target_of("EMU128", "EMU128", false), avx2 = target_of("AVX2", "AVX2", false);
  for (const char* name : {"AVX3", "AVX3_DL", "AVX3_ZEN4", "AVX3_SPR", "AVX10_2"}) {
    const EncoderTarget plain = target_of(name, name, false), dots = target_of("AVX512_BF16", name, true),
                        tiles = target_of("AMX", name, true);
    EXPECT_EQ(&choose_encoder_target(name, {&emulated, &avx2, &plain, &dots, &tiles}), &tiles);
    EXPECT_EQ(&choose_encoder_target(name, {&emulated, &avx2, &plain, &dots}), &dots);
    EXPECT_EQ(&choose_encoder_target(name, {&emulated, &avx2, &plain}), &plain);
    EXPECT_EQ(&choose_encoder_target("AVX2", {&emulated, &avx2, &plain, &dots, &tiles}), &avx2);
    EXPECT_EQ(&choose_encoder_target("SCALAR", {&emulated, &avx2, &plain, &dots, &tiles}), &emulated);
  }
}

TEST(EncoderTarget, NeverCallsTheOracleFast) {
  // Highway's own targets on Arm: one of them ends as if it had bf16 of ours.
  const EncoderTarget neon = target_of("NEON", "NEON", false), bf16 = target_of("NEON_BF16", "NEON_BF16", false);
  EXPECT_EQ(&choose_encoder_target("NEON", {&neon, &bf16}), &neon);
  EXPECT_EQ(&choose_encoder_target("NEON_BF16", {&neon, &bf16}), &bf16);
  EXPECT_FALSE(available_encoder_targets().front()->fast_bf16);
  for (const EncoderTarget* target : available_encoder_targets()) {
    if (target->fast_bf16) continue;
    EXPECT_STREQ(target->name, target->target) << "its bf16 is the oracle's";
  }
}

TEST(EncoderTarget, EveryOneHasANameOfItsOwnAndTheProcessorsTargetsAreAmongThem) {
  std::set<std::string> names, targets;
  for (const EncoderTarget* target : available_encoder_targets()) {
    EXPECT_TRUE(names.insert(std::string(target->target) + " " + target->name).second) << target->name << " twice";
    targets.insert(target->target);
  }
  for (const std::string& name : available_targets()) {
    if (name == kReferenceTarget) continue;
    EXPECT_EQ(targets.count(name), 1U) << name;
  }
}

TEST(EncoderTarget, IsThatOfThePixelKernels) {
  EXPECT_EQ(table().name, target());
  EXPECT_EQ(encoder_target().target,
            target() == kReferenceTarget ? available_encoder_targets().front()->target : target());
  const std::vector<std::string>& names = available_targets();
  const std::vector<const KernelTable*> tables = available_tables();
  ASSERT_EQ(names.size(), tables.size());
  for (std::size_t i = 0; i < names.size(); ++i) EXPECT_EQ(names[i], tables[i]->name);
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
  const EncoderTarget& target = encoder_target();
  RecordProperty("kernels", target.target);
  RecordProperty("product", target.name);
  EXPECT_EQ(target.fast_bf16, dots) << target.name;
  EXPECT_STREQ(target.name, dots ? tiles ? "AMX" : "AVX512_BF16" : target.target);
  EXPECT_STREQ(target.target, table().name);
  EXPECT_EQ(target.fast_f32, flags.count("fma") != 0);
}
#endif

}  // namespace
}  // namespace medsam::kernels
