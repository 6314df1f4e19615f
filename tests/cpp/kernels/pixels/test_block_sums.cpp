// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The keyed sums: the oracle against the formula of pixel_kernels.hpp, every target against the oracle, to the bit.
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <vector>

#include "kernels/pixels/pixel_kernels.hpp"
#include "kernels/support/tables_under_test.hpp"

namespace medsam::kernels {
namespace {

constexpr std::size_t kWords = kSumBlockBytes / 4;

BlockSumKey random_key(std::mt19937& random) {
  BlockSumKey key;
  for (auto& word : key.words) word = static_cast<std::uint32_t>(random());
  return key;
}

TEST(BlockSums, TheOracleIsTheFormula) {
  std::mt19937 random(5);
  const BlockSumKey key = random_key(random);
  std::vector<std::uint32_t> block(kWords);
  for (auto& word : block) word = static_cast<std::uint32_t>(random());
  std::uint64_t sums[kBlockSums];
  reference_table().block_sums(key, block.data(), sums);
  for (std::size_t p = 0; p < kBlockSums; ++p) {
    std::uint64_t expected = 0;
    for (std::size_t i = 0; i < kWords; i += 2) {
      const std::uint64_t a = (std::uint64_t{block[i]} + key.words[i + 16 * p]) % (std::uint64_t{1} << 32);
      const std::uint64_t b = (std::uint64_t{block[i + 1]} + key.words[i + 1 + 16 * p]) % (std::uint64_t{1} << 32);
      expected += a * b;
    }
    EXPECT_EQ(sums[p], expected) << p;
  }
}

TEST(BlockSums, EveryTargetGivesTheOraclesBitsAtAnyAlignment) {
  std::mt19937 random(6);
  for (const KernelTable* table : tables_under_test()) {
    for (int round = 0; round < 32; ++round) {
      const BlockSumKey key = random_key(random);
      std::vector<std::uint8_t> memory(kSumBlockBytes + 64);
      for (auto& byte : memory) byte = round % 3 == 0 ? std::uint8_t{255} : static_cast<std::uint8_t>(random());
      std::uint64_t expected[kBlockSums], got[kBlockSums];
      reference_table().block_sums(key, memory.data() + round, expected);
      table->block_sums(key, memory.data() + round, got);
      EXPECT_EQ(std::memcmp(got, expected, sizeof got), 0) << table->name;
    }
  }
}

}  // namespace
}  // namespace medsam::kernels
