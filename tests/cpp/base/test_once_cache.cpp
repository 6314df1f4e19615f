// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "base/once_cache.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace medsam {
namespace {

using Value = std::shared_ptr<const int>;
using Cache = OnceCache<std::string, Value>;
using Keys = std::vector<std::string>;

Cache::Make make(int value) {
  return [value] { return std::make_shared<const int>(value); };
}

Value never() { throw std::logic_error("asked to make what should be kept"); }

// A cache whose values cost what they are.
Cache by_cost(std::uint64_t budget) {
  return {budget, [](const Value& value) { return static_cast<std::uint64_t>(*value); }};
}

// Eight threads ask for one key; `made` is called once all the others wait for its value.
template <class Asked>
void ask_at_once(Cache& cache, const Cache::Make& made, const Asked& asked) {
  const std::uint64_t before = cache.stats().hits;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      asked([&] {
        return cache.get("a", [&] {
          while (cache.stats().hits - before < 7) std::this_thread::yield();
          return made();
        });
      });
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(OnceCache, ConcurrentCallsForOneKeyMakeItOnce) {
  for (const std::uint64_t budget : {std::uint64_t{0}, std::uint64_t{100}}) {
    Cache cache = by_cost(budget);
    std::atomic<int> made{0}, right{0};
    ask_at_once(
        cache,
        [&] {
          ++made;
          return std::make_shared<const int>(5);
        },
        [&](const auto& ask) { right += *ask() == 5 ? 1 : 0; });
    EXPECT_EQ(made, 1);
    EXPECT_EQ(right, 8);
    EXPECT_EQ(cache.stats().hits, 7u);
    EXPECT_EQ(cache.stats().misses, 1u);
    EXPECT_EQ(cache.stats().entries, budget == 0 ? 0u : 1u);
  }
}

TEST(OnceCache, AFailureReachesEverybodyWhoWaitsAndTheNextCallTriesAgain) {
  for (const bool counted : {true, false}) {
    Cache cache = counted ? Cache(2) : by_cost(100);
    std::atomic<int> failures{0};
    ask_at_once(
        cache, []() -> Value { throw std::runtime_error("no memory"); },
        [&](const auto& ask) {
          try {
            static_cast<void>(ask());
          } catch (const std::runtime_error& e) {
            failures += e.what() == std::string("no memory") ? 1 : 0;
          }
        });
    EXPECT_EQ(failures, 8);
    EXPECT_TRUE(cache.keys().empty());
    EXPECT_EQ(cache.stats().cost, 0u);
    EXPECT_EQ(*cache.get("a", make(3)), 3);
    EXPECT_EQ(*cache.get("a", never), 3);
    EXPECT_EQ(cache.stats().misses, 2u);
  }
}

TEST(OnceCache, CallsForOtherKeysDoNotWait) {
  Cache cache(Cache::kUnlimited);
  std::atomic<bool> other_made{false};
  std::thread slow([&] {
    static_cast<void>(cache.get("slow", [&] {
      while (!other_made) std::this_thread::yield();
      return std::make_shared<const int>(1);
    }));
  });
  while (cache.keys().empty()) std::this_thread::yield();  // it is being made
  EXPECT_EQ(*cache.get("other", make(2)), 2);
  other_made = true;
  slow.join();
  EXPECT_EQ(*cache.get("slow", never), 1);
}

TEST(OnceCache, OfACountTheLeastRecentlyUsedGoesBeforeTheNextIsMade) {
  Cache cache(2);
  static_cast<void>(cache.get("a", make(1)));
  const std::weak_ptr<const int> b = cache.get("b", make(2));
  static_cast<void>(cache.get("a", never));  // now more recent than b
  static_cast<void>(cache.get("c", [&] {
    EXPECT_TRUE(b.expired());
    return std::make_shared<const int>(3);
  }));
  EXPECT_EQ(cache.keys(), (Keys{"c", "a"}));
  EXPECT_EQ(cache.stats().evictions, 1u);
  EXPECT_EQ(cache.stats().cost, 2u);
  Cache one(0);  // holds one all the same
  static_cast<void>(one.get("a", make(1)));
  EXPECT_EQ(one.keys(), Keys{"a"});
}

TEST(OnceCache, OfABudgetAsManyGoAsTheNextOneNeeds) {
  Cache cache = by_cost(10);
  for (const auto& [key, cost] : {std::pair{"a", 3}, {"b", 3}, {"c", 4}}) static_cast<void>(cache.get(key, make(cost)));
  static_cast<void>(cache.get("a", never));
  static_cast<void>(cache.get("d", make(5)));  // b and c go
  EXPECT_EQ(cache.keys(), (Keys{"d", "a"}));
  EXPECT_EQ(cache.stats().evictions, 2u);
  EXPECT_EQ(cache.stats().cost, 8u);
  EXPECT_EQ(*cache.get("e", make(11)), 11);  // never fits in, and pushes nothing out
  EXPECT_EQ(cache.keys(), (Keys{"d", "a"}));
  EXPECT_EQ(*cache.get("e", make(10)), 10);  // alone
  EXPECT_EQ(cache.keys(), Keys{"e"});
  Cache unlimited = by_cost(Cache::kUnlimited);
  for (int i = 1; i < 50; ++i) static_cast<void>(unlimited.get(std::to_string(i), make(i)));
  EXPECT_EQ(unlimited.stats().entries, 49u);
}

TEST(OnceCache, WhatMayNotPushOutIsKeptWhereThereIsRoom) {
  Cache cache = by_cost(10);
  static_cast<void>(cache.get("a", make(6)));
  EXPECT_EQ(*cache.get("b", make(5), Cache::Keep::if_there_is_room), 5);
  EXPECT_EQ(cache.keys(), Keys{"a"});
  static_cast<void>(cache.get("c", make(4), Cache::Keep::if_there_is_room));
  EXPECT_EQ(cache.keys(), (Keys{"c", "a"}));
  Cache counted(1);
  static_cast<void>(counted.get("a", make(6)));
  EXPECT_EQ(*counted.get("b", make(5), Cache::Keep::if_there_is_room), 5);
  EXPECT_EQ(counted.keys(), Keys{"a"});
  EXPECT_EQ(counted.stats().evictions, 0u);
}

TEST(OnceCache, WhatWasEvictedLivesWhileItIsUsed) {
  Cache cache(1);
  const Value busy = cache.get("a", make(1));
  static_cast<void>(cache.get("b", make(2)));
  EXPECT_EQ(*busy, 1);
  EXPECT_EQ(*cache.get("a", make(7)), 7);  // and is made again for those who come later
}

// One that loses its place while it is made still reaches its callers, and its end does not touch a later one.
TEST(OnceCache, OneThatIsEvictedWhileItIsMadeSettlesOnlyItself) {
  for (const bool fails : {false, true}) {
    Cache cache(1);
    std::atomic<bool> finish{false};
    std::thread slow([&] {
      const auto get = [&] {
        return cache.get("a", [&] {
          while (!finish) std::this_thread::yield();
          if (fails) throw std::runtime_error("late");
          return std::make_shared<const int>(1);
        });
      };
      if (fails) {
        EXPECT_THROW(get(), std::runtime_error);
      } else {
        EXPECT_EQ(*get(), 1);
      }
    });
    while (cache.keys().empty()) std::this_thread::yield();
    static_cast<void>(cache.get("b", make(2)));
    static_cast<void>(cache.get("a", make(3)));
    finish = true;
    slow.join();
    EXPECT_EQ(cache.keys(), Keys{"a"});
    EXPECT_EQ(*cache.get("a", never), 3);
    EXPECT_EQ(cache.stats().cost, 1u);
    EXPECT_EQ(cache.stats().evictions, 2u);
  }
}

TEST(OnceCache, ClearingForgetsWhatIsMadeButNotWhatIsBeingMade) {
  Cache cache = by_cost(10);
  static_cast<void>(cache.get("a", make(1)));
  std::atomic<bool> finish{false};
  std::thread slow([&] {
    static_cast<void>(cache.get("b", [&] {
      while (!finish) std::this_thread::yield();
      return std::make_shared<const int>(2);
    }));
  });
  while (cache.keys().size() < 2) std::this_thread::yield();
  cache.clear();
  finish = true;
  slow.join();
  EXPECT_EQ(cache.keys(), Keys{"b"});
  EXPECT_EQ(cache.stats().cost, 2u);
  EXPECT_EQ(cache.stats().evictions, 0u);
  EXPECT_EQ(cache.stats().misses, 2u);
}

TEST(OnceCache, AnErrorOfTheCostIsAFailure) {
  bool fails = true;
  Cache cache(10, [&](const Value&) -> std::uint64_t {
    if (fails) throw std::runtime_error("no cost");
    return 1;
  });
  EXPECT_THROW(cache.get("a", make(1)), std::runtime_error);
  fails = false;
  EXPECT_EQ(*cache.get("a", make(2)), 2);
  EXPECT_EQ(cache.keys(), Keys{"a"});
}

// A value's end may ask the cache, which a lock that were still held would not let it.
TEST(OnceCache, ValuesEndOutsideTheLock) {
  for (const bool counted : {true, false}) {
    std::uint64_t ended = 0;
    Cache cache = counted ? Cache(1) : Cache(1, [](const Value&) { return std::uint64_t{1}; });
    const Cache::Make asks = [&] {
      return Value(new int(1), [&](const int* value) {
        ended += cache.stats().misses > 0 ? 1 : 0;
        delete value;
      });
    };
    static_cast<void>(cache.get("a", asks));
    static_cast<void>(cache.get("b", asks));
    cache.clear();
    EXPECT_EQ(ended, 2u);
  }
}

TEST(OnceCache, ManyThreadsStayWithinTheBudget) {
  for (const bool counted : {true, false}) {
    Cache cache = counted ? Cache(4) : by_cost(40);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 500; ++i) {
          const int n = 1 + (i * 7 + t) % 13;
          if (n == 13 && i % 5 == 0) {
            EXPECT_THROW(cache.get("broken", []() -> Value { throw std::runtime_error("broken"); }),
                         std::runtime_error);
          } else {
            EXPECT_EQ(*cache.get(std::to_string(n), make(n)), n);
          }
          EXPECT_LE(cache.stats().cost, counted ? 4u : 40u);
          if (i % 100 == 99) cache.clear();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    std::uint64_t cost = 0;
    for (const std::string& key : cache.keys()) cost += counted ? 1 : std::stoul(key);
    EXPECT_EQ(cache.stats().cost, cost);
    EXPECT_EQ(cache.stats().entries, cache.keys().size());
  }
}

}  // namespace
}  // namespace medsam
