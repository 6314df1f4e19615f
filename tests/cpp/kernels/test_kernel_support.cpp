// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The table kernel x target against what is known of the targets apart from it.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "kernels/base/target.hpp"
#include "kernels/encoder/encoder_kernels.hpp"
#include "kernels/kernel_support.hpp"

namespace medsam::kernels {
namespace {

TEST(KernelSupport, HasARowForEveryTarget) {
  const std::vector<KernelSupport> rows = kernel_support();
  const std::vector<std::string>& targets = available_targets();
  ASSERT_EQ(rows.size(), targets.size());
  for (std::size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(rows[i].target, targets[i]);
  const std::string text = kernel_support_table();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), static_cast<std::ptrdiff_t>(rows.size()) + 1);
  for (const std::string& name : targets) EXPECT_NE(text.find("\n" + name + " "), std::string::npos) << text;
  RecordProperty("support", text);
}

TEST(KernelSupport, TheReferenceIsGenericAndVectorsAreNative) {
  for (const KernelSupport& row : kernel_support()) {
    const bool reference = row.target == kReferenceTarget;
    EXPECT_EQ(row.pixels, !reference) << row.target;
    if (!reference) continue;
    EXPECT_FALSE(row.f16 || row.products_of_f32 || row.products_of_bf16);
  }
}

TEST(KernelSupport, OfTheTargetInUseIsWhatABackendPromises) {
  for (const KernelSupport& row : kernel_support()) {
    if (row.target != target() || row.target == kReferenceTarget) continue;
    EXPECT_EQ(row.products_of_f32, encoder_target().fast_f32);
    EXPECT_EQ(row.products_of_bf16, encoder_target().fast_bf16);
  }
}

// Facts of the architectures, by Highway's names: what a release may rename shows here and nowhere else.
TEST(KernelSupport, FollowsTheArchitecture) {
  for (const KernelSupport& row : kernel_support()) {
    const std::string& name = row.target;
    const bool avx512 = name.starts_with("AVX3") || name.starts_with("AVX10"), neon = name.starts_with("NEON");
    if (name == kReferenceTarget) continue;
#if defined(__x86_64__)
    EXPECT_EQ(row.f16, name == "AVX2" || avx512) << name;
    EXPECT_EQ(row.products_of_f32, name == "AVX2" || avx512) << name;
    EXPECT_FALSE(row.products_of_bf16 && !avx512) << name;
    EXPECT_FALSE(neon) << name;
#elif defined(__aarch64__)
    EXPECT_TRUE(neon && !avx512) << name;
    EXPECT_FALSE(row.f16) << name;
    EXPECT_TRUE(row.products_of_f32) << name;
#else
    static_cast<void>(avx512 || neon);
#endif
  }
}

}  // namespace
}  // namespace medsam::kernels
