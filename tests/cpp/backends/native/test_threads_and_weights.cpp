// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The native encoder's threads and its weights file; what it computes is tested on real weights from Python
// (tests/python/tools/export/test_fused.py), its kernels in
// tests/cpp/kernels/encoder/test_encoder_kernels.cpp.
#include <gtest/gtest.h>

#ifdef __linux__
#include <sys/resource.h>
#include <unistd.h>
#endif

#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numeric>
#include <system_error>
#include <thread>

#include "backends/native/thread_pool.hpp"
#include "backends/native/tiny_vit.hpp"
#include "backends/native/weights.hpp"
#include "medsam/error.hpp"
#include "support/tiny_bundle.hpp"

namespace medsam::backends::native {
namespace {

TEST(NativeThreads, AreKeptOffACoreWhereThereAreOthers) {
  using backends::native::cores_but;
  const auto set_of = [](std::initializer_list<std::size_t> cores) {
    platform::Cores set;
    for (const std::size_t core : cores) set.set(core);
    return set;
  };
  const platform::Cores allowed = set_of({1, 4}), expected = set_of({4});
  const auto others = cores_but(allowed, 1);
  ASSERT_TRUE(others);
  EXPECT_EQ(*others, expected);
  for (const int core : {-1, 0, static_cast<int>(platform::kMostCores)}) EXPECT_FALSE(cores_but(allowed, core)) << core;
  EXPECT_FALSE(cores_but(set_of({4}), 4));
}

TEST(ThreadPool, CallsEachIndexOnce) {
  for (const int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    EXPECT_GE(pool.size(), 1U);
    EXPECT_LE(pool.size(), static_cast<std::size_t>(threads));
    for (const std::size_t count : {0U, 1U, 2U, 1000U}) {
      std::vector<std::atomic<int>> calls(count);
      std::vector<std::atomic<int>> inside(pool.size());
      std::atomic<bool> shared{false};
      pool.run(count, [&](std::size_t i, std::size_t slot) {
        if (inside.at(slot).fetch_add(1) != 0) shared = true;
        calls[i].fetch_add(1);
        inside.at(slot).fetch_sub(1);
      });
      for (const auto& n : calls) EXPECT_EQ(n, 1);
      EXPECT_FALSE(shared) << "two threads had one slot";
    }
  }
}

TEST(ThreadPool, ServesSeveralCallersAtOnce) {
  ThreadPool pool(0);
  std::array<std::atomic<std::size_t>, 4> sums{};
  std::vector<std::thread> callers;
  for (std::atomic<std::size_t>& sum : sums) {
    callers.emplace_back([&] {
      for (int repeat = 0; repeat < 50; ++repeat) {
        pool.run(100, [&](std::size_t i, std::size_t) { sum.fetch_add(i); });
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  for (const auto& sum : sums) EXPECT_EQ(sum, 50U * 4950U);
}

TEST(ThreadPool, BelongsToOneModelWhereThreadsCanBeStarted) {
  ASSERT_TRUE(platform::starts_threads());
  EXPECT_NE(pool_of_model(1), pool_of_model(1));
}

// A sanitizer's own memory is counted, too.
#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST(ThreadPoolDeathTest, GoesOnWithFewerWhereTheSystemStartsNoMore) {
  if (platform::allowed_cores().count() < 2) GTEST_SKIP() << "one core: nothing is started";
  const auto without_memory_for_stacks = [] {
    std::vector<std::thread> kept;
    kept.reserve(100);
    const rlimit none{1, 1};
    ::setrlimit(RLIMIT_AS, &none);
    try {  // stacks of threads that ended before are used again
      while (kept.size() < 100) kept.emplace_back([] { ::pause(); });
    } catch (const std::system_error&) {
      ThreadPool pool(2);
      std::atomic<int> calls{0};
      pool.run(100, [&](std::size_t, std::size_t) { calls.fetch_add(1); });
      std::_Exit(pool.size() == 1 && calls == 100 ? 0 : 1);
    }
    std::_Exit(2);
  };
  EXPECT_EXIT(without_memory_for_stacks(), ::testing::ExitedWithCode(0), "");
}
#endif

class WeightsTest : public ::testing::Test {
 protected:
  /// A file with one tensor "a" of shape (2, 32), changed by what a test does to its header.
  std::string written(const nlohmann::json& header, std::size_t floats = 64) {
    std::string text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');
    return raw(text.size(), text, floats);
  }
  std::string raw(std::uint64_t length, const std::string& text, std::size_t floats) {
    std::string bytes(sizeof length, '\0');
    std::memcpy(bytes.data(), &length, sizeof length);
    std::vector<float> values(floats);
    std::iota(values.begin(), values.end(), 0.F);
    bytes += text;
    bytes.append(reinterpret_cast<const char*>(values.data()), floats * sizeof(float));
    return bytes;
  }
  static nlohmann::json header() {
    const nlohmann::json about = {{"format", "medsam-engine fused 1"},
                                  {"architecture", "tiny_vit"},
                                  {"input_size", {64}},
                                  {"strides", {1, 1, 2}},
                                  {"windows", {7}}};
    return {{"__metadata__", {{"medsam_engine", about.dump()}}},
            {"a", {{"dtype", "F32"}, {"shape", {2, 32}}, {"data_offsets", {0, 256}}}}};
  }
};

TEST_F(WeightsTest, ReadsTensorsAndNumbers) {
  const std::string bytes = written(header());
  const Weights weights("weights", bytes);
  EXPECT_EQ(weights.tensor("a", {2, 32})[33], 33.F);
  EXPECT_EQ(weights.numbers("strides"), (std::vector<std::int64_t>{1, 1, 2}));
  EXPECT_EQ(weights.architecture(), "tiny_vit");
  EXPECT_THROW(static_cast<void>(weights.tensor("a", {32, 2})), ModelError);
  EXPECT_THROW(static_cast<void>(weights.tensor("b", {2, 32})), ModelError);
  EXPECT_THROW(static_cast<void>(weights.numbers("format")), ModelError);
  EXPECT_THROW(static_cast<void>(weights.numbers("absent")), ModelError);
  EXPECT_THROW(load_tiny_vit(weights, {}), ModelError) << "no tensor of a TinyViT";
}

TEST_F(WeightsTest, RefusesADamagedFile) {
  EXPECT_THROW(Weights("weights", ""), ModelError);
  EXPECT_THROW(Weights("weights", "1234"), ModelError);
  EXPECT_THROW(Weights("weights", raw(1ULL << 60, "{}", 1)), ModelError) << "a header longer than the file";
  EXPECT_THROW(Weights("weights", raw(3, "{} ", 1)), ModelError) << "floats at an odd place";
  EXPECT_THROW(Weights("weights", raw(8, "no json ", 1)), ModelError);
  EXPECT_THROW(Weights("weights", raw(8, "[1,2,3] ", 1)), ModelError);
  EXPECT_THROW(Weights("weights", written(header(), 63)), ModelError) << "a tensor past the end";
}

TEST_F(WeightsTest, RefusesAHeaderThatLies) {
  const auto refuses = [&](const char* field, const nlohmann::json& value) {
    nlohmann::json changed = header();
    changed["a"][field] = value;
    EXPECT_THROW(Weights("weights", written(changed)), ModelError) << field << " " << value;
  };
  refuses("dtype", "F16");
  refuses("shape", {2, 31});
  refuses("shape", {-2, -32});
  refuses("shape", {4294967296, 4294967296});
  refuses("shape", "2, 32");
  refuses("data_offsets", {256, 0});
  refuses("data_offsets", {2, 258});
  refuses("data_offsets", {0, 18446744073709551615ULL});
  refuses("data_offsets", {0});
  nlohmann::json changed = header();
  changed["__metadata__"] = {{"format", "pt"}};
  EXPECT_THROW(Weights("weights", written(changed)), ModelError);
  changed.erase("__metadata__");
  EXPECT_THROW(Weights("weights", written(changed)), ModelError);
  for (const char* about : {R"({"format": "medsam-engine fused 2"})", R"({"format": 1})", "[]", "{"}) {
    changed["__metadata__"] = {{"medsam_engine", about}};
    EXPECT_THROW(Weights("weights", written(changed)), ModelError) << about;
  }
}

}  // namespace
}  // namespace medsam::backends::native
