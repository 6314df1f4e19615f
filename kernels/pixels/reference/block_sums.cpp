// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include <cstring>

#include "kernels/pixels/reference/reference.hpp"

namespace medsam::kernels::reference {

void block_sums(const BlockSumKey& key, const void* block, std::uint64_t sums[kBlockSums]) noexcept {
  const auto* bytes = static_cast<const char*>(block);
  for (std::size_t pass = 0; pass < kBlockSums; ++pass) {
    const std::uint32_t* words = key.words + pass * kBlockSumShift;
    sums[pass] = 0;
    for (std::size_t i = 0; i < kSumBlockBytes / sizeof(std::uint32_t); i += 2) {
      std::uint32_t pair[2];
      std::memcpy(pair, bytes + i * sizeof(std::uint32_t), sizeof pair);
      const std::uint32_t low = pair[0] + words[i], high = pair[1] + words[i + 1];
      sums[pass] += std::uint64_t{low} * high;
    }
  }
}

}  // namespace medsam::kernels::reference
