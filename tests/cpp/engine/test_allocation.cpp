// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Every allocation of a load, an image, a prompt and a volume fails in turn: the call raises OutOfMemory (or goes on,
// where it can do without what it wanted), nothing is leaked (under AddressSanitizer), and the engine then answers as
// before.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <memory>
#include <new>
#include <utility>

#include "medsam/error.hpp"
#include "medsam/session.hpp"
#include "support/engine_test.hpp"

namespace {

// Allocations of any thread left before one fails; negative = none does.
std::atomic<long> allocations_left{-1};
// Smaller ones always succeed.
std::atomic<std::size_t> smallest{0};

void* allocate(std::size_t size, std::size_t alignment) {
  const bool counts = allocations_left.load(std::memory_order_relaxed) >= 0 && size >= smallest;
  if (counts && allocations_left.fetch_sub(1) == 0) throw std::bad_alloc();
#ifdef _WIN32  // whose aligned memory is given back by another function: all of it is aligned
  void* memory = ::_aligned_malloc(size == 0 ? 1 : size, std::max(alignment, alignof(std::max_align_t)));
#else
  void* memory = alignment <= alignof(std::max_align_t)
                     ? std::malloc(size == 0 ? 1 : size)
                     : std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
#endif
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void give_back(void* memory) {
#ifdef _WIN32
  ::_aligned_free(memory);
#else
  std::free(memory);
#endif
}

}  // namespace

void* operator new(std::size_t size) { return allocate(size, 1); }
void* operator new[](std::size_t size) { return allocate(size, 1); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<std::size_t>(alignment));
}
// The standard library's own would not be malloc's under a sanitizer (std::stable_partition asks for memory like this).
void* operator new(std::size_t size, const std::nothrow_t& /*unused*/) noexcept {
  try {
    return allocate(size, 1);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void* operator new[](std::size_t size, const std::nothrow_t& tag) noexcept { return operator new(size, tag); }
void operator delete(void* memory) noexcept { give_back(memory); }
void operator delete[](void* memory) noexcept { give_back(memory); }
void operator delete(void* memory, const std::nothrow_t& /*unused*/) noexcept { give_back(memory); }
void operator delete[](void* memory, const std::nothrow_t& /*unused*/) noexcept { give_back(memory); }
void operator delete(void* memory, std::size_t) noexcept { give_back(memory); }
void operator delete[](void* memory, std::size_t) noexcept { give_back(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { give_back(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { give_back(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { give_back(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { give_back(memory); }

namespace medsam {
namespace {

enum class Outcome : std::uint8_t { done, done_without, out_of_memory, other };

// Runs `act`, of which allocation number `n` fails.
Outcome run_failing(long n, const std::function<void()>& act, std::string& text) {
  Outcome outcome = Outcome::done;
  allocations_left = n;
  try {
    act();
  } catch (const OutOfMemory&) {
    outcome = Outcome::out_of_memory;
  } catch (const std::exception& e) {
    outcome = Outcome::other;
    allocations_left = -1;
    text = e.what();
  }
  const bool failed = allocations_left.exchange(-1) < 0;
  return outcome == Outcome::done && failed ? Outcome::done_without : outcome;
}

class Allocation : public EngineTest {
 protected:
  void TearDown() override { smallest = 0; }
  // Fails the first 100 allocations of `act`, then about every twentieth further one. Returns how often it ran out.
  static int fail_in_turn(
      const std::function<void()>& act, const std::function<void()>& prepare = [] {}) {
    int ran_out = 0;
    for (long n = 0; n < 1000000; n += n < 100 ? 1 : n / 20) {
      std::string text;
      prepare();
      const Outcome outcome = run_failing(n, act, text);
      if (outcome == Outcome::done) return ran_out;
      if (outcome == Outcome::out_of_memory) ++ran_out;
      EXPECT_NE(outcome, Outcome::other) << "allocation " << n << ": " << text;
    }
    ADD_FAILURE() << "the call never came to its end";
    return ran_out;
  }
};

TEST_F(Allocation, OfALoad) {
  // nlohmann::json's destructor is noexcept and allocates room for its children (docs/robustness.md): the small ones of
  // a load are left alone.
  smallest = 1024;
  EngineOptions options;  // copied out of the failing part, which is the library's alone
  EXPECT_GT(fail_in_turn([&] { const Engine engine(bundle_, std::move(options)); }, [&] { options = options_; }), 3);
  EXPECT_NO_THROW(Engine(bundle_, options_));
}

TEST_F(Allocation, OfAnImageAndItsPrompts) {
  options_.embedding_store = folder_.path("store");
  const Engine engine(bundle_, options_);
  std::vector<std::uint16_t> expected, labels;
  const ImageView picture = image();
  const std::vector<Box> boxes = {{3, 4, 40, 30}, {10, 10, 20, 20}};
  engine.segment(picture, boxes, view(expected));
  const LabelView out = view(labels);
  const int ran_out = fail_in_turn([&] {
    engine.clear_cache();
    engine.segment(picture, boxes, out);
  });
  EXPECT_GT(ran_out, 10);
  engine.segment(picture, boxes, out);
  EXPECT_EQ(labels, expected);
  const ImageEmbedding embedding = engine.encode(picture);
  Prompt prompt;
  prompt.points = {{3, 3, 1}, {20, 20, 0}};
  const std::vector<Prompt> prompts = {prompt, prompt};
  EXPECT_GT(fail_in_turn([&] { static_cast<void>(engine.predict(embedding, prompts, {true, nullptr})); }), 5);
  EXPECT_GT(fail_in_turn([&] { static_cast<void>(embedding.serialize()); }), 0);
  const std::string bytes = embedding.serialize();
  EXPECT_GT(fail_in_turn([&] { static_cast<void>(ImageEmbedding::deserialize(bytes.data(), bytes.size())); }), 2);
}

TEST_F(Allocation, OfAVolume) {
  options_.cache_bytes = 4096;  // too few for the slices: they are encoded again
  const Engine engine(bundle_, options_);
  const std::vector<std::uint8_t> voxels(std::size_t{6} * 16 * 20, 7);
  std::vector<std::uint16_t> labels(voxels.size()), expected(voxels.size());
  const VolumeView volume{voxels.data(), PixelType::u8, 6, 16, 20, 1, 20, 320};
  const std::vector<Box3D> boxes = {{2, 3, 0, 12, 10, 5}, {4, 4, 1, 18, 14, 3}};
  const auto segment = [&](std::vector<std::uint16_t>& into) {
    engine.segment_volume(volume, boxes, {into.data(), LabelType::u16, 6, 16, 20, 40, 640});
  };
  segment(expected);
  EXPECT_GT(fail_in_turn([&] { segment(labels); }), 20);
  segment(labels);
  EXPECT_EQ(labels, expected);
}

// A session whose call runs out of memory shows what it showed before, and so do undo and redo.
TEST_F(Allocation, OfASession) {
  const auto engine = std::make_shared<const Engine>(bundle_, options_);
  const std::vector<std::uint8_t> voxels(std::size_t{6} * 16 * 20, 7);
  SessionOptions options;
  options.encode_ahead = false;
  Session session(engine, {voxels.data(), PixelType::u8, 6, 16, 20, 1, 20, 320}, options);
  const auto shown = [&] {
    std::vector<std::uint16_t> labels(voxels.size());
    session.labels({labels.data(), LabelType::u16, 6, 16, 20, 40, 640});
    labels.push_back(static_cast<std::uint16_t>(session.undo_steps()));
    labels.push_back(static_cast<std::uint16_t>(session.redo_steps()));
    return labels;
  };
  const std::function<void()> calls[] = {[&] {
                                           session.add_box("a", Box{2, 3, 12, 10}, {0, 2});
                                         },
                                         [&] {
                                           session.add_click("a", {9, 6}, false, {0, 2});
                                         },
                                         [&] { session.propagate("a"); },
                                         [&] { session.lock("a"); },
                                         [&] {
                                           session.add_box("b", Box{4, 4, 18, 14}, {0, 3});
                                         },
                                         [&] { session.undo(); },
                                         [&] { session.undo(); },
                                         [&] { session.redo(); },
                                         [&] { session.remove("a"); }};
  for (std::size_t i = 0; i < std::size(calls); ++i) {
    const std::vector<std::uint16_t> before = shown();
    Outcome outcome = Outcome::out_of_memory;
    for (long n = 0; outcome == Outcome::out_of_memory; ++n) {
      std::string text;
      outcome = run_failing(n, calls[i], text);
      ASSERT_NE(outcome, Outcome::other) << "call " << i << ", allocation " << n << ": " << text;
      if (outcome == Outcome::out_of_memory) {
        ASSERT_EQ(shown(), before) << "call " << i << ", allocation " << n;
        if (session.undo_steps() == 0) continue;
        session.undo();  // to a state that is whole
        session.redo();
        ASSERT_EQ(shown()[0], before[0]);
      }
    }
    EXPECT_NE(shown(), before) << "call " << i;
  }
}

}  // namespace
}  // namespace medsam
