// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "embedding/embedding_cache.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include "embedding/embedding_data.hpp"

namespace medsam {
namespace {

using backends::HostTensor;

// An embedding of `floats` floats that can be told from others by its width.
ImageEmbedding embedding(std::int64_t width, std::int64_t floats = 256) {
  auto tensor = std::make_shared<HostTensor>(backends::Shape{1, floats});
  std::fill(tensor->mutable_host(), tensor->mutable_host() + floats, 0.0f);
  auto data = std::make_shared<detail::EmbeddingData>();
  data->geometry.width = width;
  data->outputs.push_back(std::move(tensor));
  return ImageEmbedding(std::move(data));
}

ImageKey key(std::uint64_t n) {
  ImageKey key;
  key.high = key.low = n;
  return key;
}

EmbeddingCache::Make make(std::int64_t width) {
  return [width] { return embedding(width); };
}

EmbeddingCache::Make never() {
  return []() -> ImageEmbedding { throw std::logic_error("asked to make what should be cached"); };
}

TEST(EmbeddingCache, GivesBackWhatItHas) {
  EmbeddingCache cache(4096);
  EXPECT_EQ(cache.get(key(1), make(11)).width(), 11);
  EXPECT_EQ(cache.get(key(1), never()).width(), 11);
  EXPECT_EQ(cache.get(key(2), make(22)).width(), 22);
  const CacheStats stats = cache.stats();
  EXPECT_EQ(stats.hits, 1u);
  EXPECT_EQ(stats.misses, 2u);
  EXPECT_EQ(stats.entries, 2u);
  EXPECT_EQ(stats.bytes, 2048u);
  EXPECT_EQ(stats.budget, 4096u);
}

TEST(EmbeddingCache, DropsTheLeastRecentlyUsed) {
  EmbeddingCache cache(3 * 1024);
  for (std::uint64_t i = 1; i <= 3; ++i) cache.get(key(i), make(static_cast<std::int64_t>(i)));
  cache.get(key(1), never());  // 1 is now more recent than 2
  cache.get(key(4), make(4));  // 2 goes
  cache.get(key(1), never());
  cache.get(key(3), never());
  EXPECT_EQ(cache.stats().evictions, 1u);
  EXPECT_LE(cache.stats().bytes, 3u * 1024);
  EXPECT_THROW(cache.get(key(2), never()), std::logic_error);
}

TEST(EmbeddingCache, KeepsNothingBeyondItsBudget) {
  EmbeddingCache none(0);
  EXPECT_EQ(none.get(key(1), make(1)).width(), 1);
  EXPECT_THROW(none.get(key(1), never()), std::logic_error);
  EmbeddingCache small(1000);
  small.get(key(1), make(1));  // 1024 bytes
  EXPECT_EQ(small.stats().entries, 0u);
}

TEST(EmbeddingCache, AFailureIsNotCachedAndReachesTheCaller) {
  EmbeddingCache cache(4096);
  EXPECT_THROW(cache.get(key(1), never()), std::logic_error);
  EXPECT_EQ(cache.get(key(1), make(5)).width(), 5);
}

TEST(EmbeddingCache, ClearForgetsEntriesAndKeepsCounters) {
  EmbeddingCache cache(4096);
  cache.get(key(1), make(1));
  cache.clear();
  EXPECT_EQ(cache.stats().bytes, 0u);
  EXPECT_EQ(cache.stats().misses, 1u);
  EXPECT_EQ(cache.get(key(1), make(2)).width(), 2);
}

TEST(EmbeddingCache, ConcurrentRequestsForOneKeyMakeItOnce) {
  EmbeddingCache cache(4096);
  std::atomic<int> made{0};
  std::atomic<int> arrived{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      ++arrived;
      const ImageEmbedding got = cache.get(key(9), [&] {
        while (arrived < 8) std::this_thread::yield();  // hold the work until everyone is on the way
        ++made;
        return embedding(9);
      });
      EXPECT_EQ(got.width(), 9);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(made, 1);
  EXPECT_EQ(cache.stats().hits + cache.stats().misses, 8u);
}

TEST(EmbeddingCache, StaysWithinItsBudgetUnderConcurrentEviction) {
  EmbeddingCache cache(4 * 1024);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (std::uint64_t i = 0; i < 500; ++i) {
        const std::uint64_t n = (i * 7 + static_cast<std::uint64_t>(t)) % 13;
        EXPECT_EQ(cache.get(key(n), make(static_cast<std::int64_t>(n))).width(), static_cast<std::int64_t>(n));
        EXPECT_LE(cache.stats().bytes, 4u * 1024);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(cache.stats().bytes, cache.stats().entries * 1024);
}

}  // namespace
}  // namespace medsam
