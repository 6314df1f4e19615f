// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The sums of block_sums.cpp, a vector of pairs at a time: integer sums that wrap do not depend on their order.
#if defined(MEDSAM_KERNELS_BLOCK_SUMS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MEDSAM_KERNELS_BLOCK_SUMS_INL_H_
#undef MEDSAM_KERNELS_BLOCK_SUMS_INL_H_
#else
#define MEDSAM_KERNELS_BLOCK_SUMS_INL_H_
#endif

#include <numeric>

#include "hwy/highway.h"
#include "kernels/pixels/reference/reference.hpp"

HWY_BEFORE_NAMESPACE();
namespace medsam::kernels {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

inline void block_sums(const BlockSumKey& key, const void* block, std::uint64_t sums[kBlockSums]) noexcept {
  static_assert(kBlockSums == 4, "one accumulator per sum");
  const hn::CappedTag<std::uint32_t, kBlockSumShift> d;
  const hn::Repartition<std::uint64_t, decltype(d)> d64;
  const std::size_t lanes = hn::Lanes(d);
  const auto product = [&](auto message, const std::uint32_t* words) {
    const auto sum = hn::Add(message, hn::LoadU(d, words));
    return hn::MulEven(sum, hn::BitCast(d, hn::ShiftRight<32>(hn::BitCast(d64, sum))));
  };
  auto s0 = hn::Zero(d64), s1 = s0, s2 = s0, s3 = s0;
  const auto* bytes = static_cast<const std::uint8_t*>(block);
  const hn::Repartition<std::uint8_t, decltype(d)> d8;
  for (std::size_t i = 0; i < kSumBlockBytes / sizeof(std::uint32_t); i += lanes) {
    const auto message = hn::BitCast(d, hn::LoadU(d8, bytes + i * sizeof(std::uint32_t)));
    const std::uint32_t* words = key.words + i;
    s0 = hn::Add(s0, product(message, words));
    s1 = hn::Add(s1, product(message, words + kBlockSumShift));
    s2 = hn::Add(s2, product(message, words + 2 * kBlockSumShift));
    s3 = hn::Add(s3, product(message, words + 3 * kBlockSumShift));
  }
  // By hand: GCC's reduction of 512 bits adds signed integers, whose wrapping is undefined.
  const auto total = [&](auto lanes_of_sum) {
    std::uint64_t each[kBlockSumShift / 2];
    hn::StoreU(lanes_of_sum, d64, each);
    return std::accumulate(each, each + hn::Lanes(d64), std::uint64_t{0});
  };
  sums[0] = total(s0);
  sums[1] = total(s1);
  sums[2] = total(s2);
  sums[3] = total(s3);
}

}  // namespace HWY_NAMESPACE
}  // namespace medsam::kernels
HWY_AFTER_NAMESPACE();

#endif
