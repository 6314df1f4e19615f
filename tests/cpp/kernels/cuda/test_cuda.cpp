// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What only the CUDA kernels have: refusals, the launch geometry, ordered floats, empty statistics; run on the CPU. The
// sweeps of the other test files run over the same bodies.
#include <gtest/gtest.h>

#include <array>
#include <barrier>
#include <cstring>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "kernels/cuda/host_launcher.hpp"
#include "kernels/support/tables_under_test.hpp"
#include "kernels/support/test_image.hpp"

namespace medsam::kernels {
namespace {

using HostTable = HostLauncher<Order::forward>;
constexpr cuda::Table kTable = cuda::table_over<HostTable>("CUDA on the host");

TEST(Cuda, RefusesExactlyTheInterpolationsThatStayOnTheCpu) {
  const TestImage image(PixelType::u8, 20, 30, 3, RowLayout::dense, 1);
  for (const Interpolation interpolation : kInterpolations) {
    const bool on_cpu = interpolation == Interpolation::spline || interpolation == Interpolation::antialiased;
    const auto same = raw_params(20, 30, interpolation), other = raw_params(10, 15, interpolation);
    EXPECT_EQ(kTable.resize_normalize_refusal(image.pixels(), same), nullptr);  // nothing to resize
    const char* why = kTable.resize_normalize_refusal(image.pixels(), other);
    EXPECT_EQ(why != nullptr, on_cpu) << name_of(interpolation);
    if (why == nullptr) continue;
    EXPECT_NE(std::string(why).find(name_of(interpolation)), std::string::npos) << why;
    std::vector<float> out(3 * 15 * 15, -777.F);
    std::int32_t finite = -5;
    const cuda::Status status = kTable.resize_normalize(image.pixels(), other, out.data(), &finite, nullptr, nullptr);
    EXPECT_EQ(static_cast<int>(status.code), static_cast<int>(cuda::Status::Code::unsupported));
    EXPECT_STREQ(status.message, why);
    EXPECT_EQ(out, std::vector<float>(out.size(), -777.F));
    EXPECT_EQ(finite, -5);
  }
}

TEST(Cuda, OrderedFloatsKeepTheOrderAndComeBack) {
  constexpr float kInf = std::numeric_limits<float>::infinity(), kMax = std::numeric_limits<float>::max();
  const float ascending[] = {-kInf, -kMax, -2.F, -1.F, -1e-40F, -0.F, 0.F, 1e-40F, 1.F, 1.0000001F, kMax, kInf};
  for (std::size_t i = 0; i < std::size(ascending); ++i) {
    EXPECT_EQ(bits_of(cuda::float_of_ordered(cuda::ordered_of(ascending[i]))), bits_of(ascending[i]));
    if (i == 0) continue;
    EXPECT_LT(cuda::ordered_of(ascending[i - 1]), cuda::ordered_of(ascending[i])) << ascending[i];
  }
}

TEST(Cuda, GridsAreWholeWarpsWithinTheCap) {
  for (const std::int64_t width : {1, 31, 32, 33, 256, 257, 5000, 1 << 20}) {
    for (const std::int64_t height : {1, 7, 8, 9, 4000}) {
      for (const std::int64_t cap : {1, 4, 1024}) {
        const cuda::Grid g = cuda::grid_of({width, height}, cap);
        EXPECT_EQ(g.block_x % 32, 0U);
        EXPECT_EQ(g.block_x * g.block_y, 256U);
        EXPECT_GE(g.grid_x, 1U);
        EXPECT_GE(g.grid_y, 1U);
        EXPECT_LE(static_cast<std::int64_t>(g.grid_x) * g.grid_y, cap);
        EXPECT_LT((g.grid_x - 1) * g.block_x, width);  // no block without work
        EXPECT_LT((g.grid_y - 1) * g.block_y, height);
      }
    }
  }
}

TEST(Cuda, AWarpFoldsAllItsThreads) {
  // One host thread a lane; exchanging is a slot each and two barriers.
  constexpr std::int32_t kValues[] = {5, -3, 8, 0, 71, -40, 2, 9};
  std::array<std::int64_t, cuda::kWarpSize> slots{}, sums{}, least{};
  std::barrier gather(cuda::kWarpSize);
  std::vector<std::thread> warp;
  for (int lane = 0; lane < cuda::kWarpSize; ++lane) {
    warp.emplace_back([&, lane] {
      const auto at = static_cast<std::size_t>(lane);
      const auto exchange = [&](std::int64_t value, int offset) {
        slots[at] = value;
        gather.arrive_and_wait();
        const std::int64_t theirs = slots[at ^ static_cast<std::size_t>(offset)];
        gather.arrive_and_wait();
        return theirs;
      };
      const std::int64_t mine = kValues[lane % 8] * (lane + 1);
      sums[at] = cuda::fold_warp(
          mine, [](std::int64_t a, std::int64_t b) { return a + b; }, exchange);
      least[at] = cuda::fold_warp(
          mine, [](std::int64_t a, std::int64_t b) { return lesser(a, b); }, exchange);
    });
  }
  for (std::thread& thread : warp) thread.join();
  std::int64_t sum = 0, lowest = 0;
  for (int lane = 0; lane < cuda::kWarpSize; ++lane) {
    sum += kValues[lane % 8] * (lane + 1);
    lowest = lesser<std::int64_t>(lowest, kValues[lane % 8] * (lane + 1));
  }
  for (std::size_t lane = 0; lane < sums.size(); ++lane) {
    EXPECT_EQ(sums[lane], sum);
    EXPECT_EQ(least[lane], lowest);
  }
}

TEST(Cuda, StatisticsOfAnEmptyMask) {
  const MaskStats stats = cuda::stats_of({0, 40, 30, -1, -1});
  EXPECT_EQ(stats.area, 0);
  EXPECT_EQ(stats.x0, 0);
  EXPECT_EQ(stats.y0, 0);
  EXPECT_EQ(stats.x1, -1);
  EXPECT_EQ(stats.y1, -1);
}

TEST(Cuda, NoWorkspaceIsAskedForWhereNoneIsNeeded) {
  const TestImage image(PixelType::u8, 20, 30, 3, RowLayout::dense, 1);
  EXPECT_EQ(kTable.resize_normalize_workspace(image.pixels(), raw_params(20, 30, Interpolation::area)), 0U);
  EXPECT_EQ(kTable.resize_normalize_workspace(image.pixels(), raw_params(10, 15, Interpolation::area)), 0U);
  EXPECT_GT(kTable.resize_normalize_workspace(image.pixels(), raw_params(11, 15, Interpolation::area)), 0U);
}

std::vector<const KernelTable*> all_orders() {
  std::vector<const KernelTable*> tables = tables_under_test();
  tables.push_back(&concurrent_cuda_table());
  return tables;
}

TEST(Cuda, ThreadsSideBySideChangeNothing) {
  for (const PixelType type : kPixelTypes) {
    for (const Normalize normalize : kNormalizations) {
      for (const Interpolation interpolation : {Interpolation::area, Interpolation::cubic}) {
        const TestImage image(type, 90, 131, 3, RowLayout::padded, 9);
        const auto params = resize_params(45, 66, interpolation, normalize, 5);
        const auto expected = run_resize(reference_table(), image.pixels(), params);
        EXPECT_EQ(count_different(run_resize(concurrent_cuda_table(), image.pixels(), params), expected), 0U)
            << name_of(type) << " " << name_of(interpolation) << " " << static_cast<int>(normalize);
      }
    }
  }
}

TEST(Cuda, BadValuesAreSeenByThreadsSideBySide) {
  TestImage image(PixelType::f32, 40, 300, 1, RowLayout::dense, 2);
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  for (std::int64_t y = 0; y < 40; ++y) std::memcpy(image.row(y) + y * 4, &kNan, sizeof kNan);
  const auto params = raw_params(40, 300, Interpolation::area);
  EXPECT_TRUE(run_resize(concurrent_cuda_table(), image.pixels(), params).empty());
  std::vector<float> values(3000, 1e9F);
  std::vector<std::uint16_t> halves(values.size());
  EXPECT_FALSE(concurrent_cuda_table().to_f16(values.data(), halves.data(), 3000));
}

TEST(Cuda, ImagesLargerThanTheGridAgree) {
  // 1024 blocks of 256 threads are fewer than the samples here.
  for (const Normalize normalize : kNormalizations) {
    const TestImage image(PixelType::u8, 700, 911, 3, RowLayout::bottom_up, 5);
    const auto params = resize_params(787, 1024, Interpolation::linear, normalize);
    const auto expected = run_resize(reference_table(), image.pixels(), params);
    for (const KernelTable* table : all_orders()) {
      EXPECT_EQ(count_different(run_resize(*table, image.pixels(), params), expected), 0U) << table->name;
    }
  }
}

TEST(Cuda, MasksLargerThanTheGridAgree) {
  std::vector<float> logits(256 * 256);
  std::mt19937 random(3);
  std::normal_distribution<float> noise;
  for (float& v : logits) v = noise(random);
  std::vector<std::uint8_t> expected(std::size_t{1200} * 900, 7);
  UpsampleThresholdParams params{logits.data(), 256, 256, 200, 1200, 900, 0.F, expected.data(), LabelType::u8, 900, 66};
  const MaskStats stats = run_upsample(reference_table(), params);
  for (const KernelTable* table : all_orders()) {
    std::vector<std::uint8_t> out(expected.size(), 7);
    params.out = out.data();
    const MaskStats got = run_upsample(*table, params);
    EXPECT_EQ(count_different(out, expected), 0U) << table->name;
    EXPECT_EQ(got.area, stats.area) << table->name;
  }
}

}  // namespace
}  // namespace medsam::kernels
