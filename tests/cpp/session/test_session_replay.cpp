// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The same calls give the same masks, whatever was undone, cached or encoded ahead between, and from several threads.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "medsam/error.hpp"
#include "support/session_calls.hpp"
#include "support/session_test.hpp"

namespace medsam {
namespace {

using testing::SessionCall;
using testing::SessionCallKind;

class SessionReplayTest : public SessionTest {
 protected:
  static constexpr std::int64_t kShape[3] = {kDepth, kHeight, kWidth};

  std::unique_ptr<Session> replayed(const std::vector<SessionCall>& calls, const SessionOptions& options) {
    auto again = std::make_unique<Session>(engine(), volume(), options);
    for (const SessionCall& call : calls) testing::make_call(*again, kShape, call);
    return again;
  }

  /// Plays random calls, each of which says what it changes and leaves the session as it was where it raises.
  void play(std::uint32_t seed, int count) {
    std::mt19937 random(seed);
    const auto made = session();
    testing::SessionPlayer player(*made, kShape);
    Shown before = shown(*made);
    for (int i = 0; i < count; ++i) {
      const SessionCall call = testing::random_call(kShape, [&](std::uint32_t n) { return random() % n; });
      const std::optional<VoxelBox> changed = player.play(call);
      const Shown after = shown(*made);
      if (changed) {
        ASSERT_EQ(*changed, difference(before, after)) << "seed " << seed << ", call " << i;
      } else {
        ASSERT_EQ(after, before) << "seed " << seed << ", call " << i;
      }
      before = after;
    }
    SessionOptions little = session_options_, ahead = session_options_;
    little.embedding_bytes = 0;
    ahead.encode_ahead = true;
    const auto labels = labels_of(*made);
    for (const SessionOptions& options : {session_options_, little, ahead}) {
      const auto again = replayed(player.effective(), options);
      ASSERT_EQ(shown(*again), before) << "seed " << seed;
      ASSERT_EQ(labels_of(*again), labels) << "seed " << seed;
    }
  }
};

TEST_F(SessionReplayTest, OfModelsThatKnowPoints) {
  for (std::uint32_t seed = 1; seed <= 6; ++seed) play(seed, 40);
}

TEST_F(SessionReplayTest, OfModelsThatKnowBoxesAlone) {
  know_boxes_only();
  for (std::uint32_t seed = 100; seed < 106; ++seed) play(seed, 40);
}

TEST_F(SessionReplayTest, WithoutTheEnginesCache) {
  options_.cache_bytes = 0;
  play(200, 40);
}

TEST_F(SessionReplayTest, ALittleUndoKeepsOneStep) {
  session_options_.undo_bytes = 0;
  const auto made = session();
  made->add_box("a", Box{8, 4, 23, 15}, {0, 3});
  const Shown first = shown(*made);
  made->add_box("a", Box3D{0, 0, 0, 39, 23, 7});
  made->reset();
  EXPECT_GE(made->undo_steps(), 1);
  made->undo();
  EXPECT_EQ(made->objects().size(), 1u);
  EXPECT_GT(made->objects()[0].voxels, first.objects[0].voxels);
}

TEST_F(SessionReplayTest, SeveralThreadsAtOnce) {
  session_options_.encode_ahead = true;
  const auto made = session();
  std::atomic<int> unexpected{0};
  std::vector<std::thread> threads;
  for (std::uint32_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(t);
      std::vector<std::uint16_t> labels(voxels_.size());
      for (int i = 0; i < 12; ++i) {
        SessionCall call = testing::random_call(kShape, [&](std::uint32_t n) { return random() % n; });
        if (call.kind == SessionCallKind::reset || call.kind == SessionCallKind::undo) continue;
        if (!call.object.empty()) call.object = std::to_string(t);
        try {
          testing::make_call(*made, kShape, call);
          static_cast<void>(made->encoding());
          static_cast<void>(made->objects());
          made->labels(out(labels));
        } catch (const InvalidArgument&) {  // random calls may be wrong
        } catch (const std::exception&) {
          ++unexpected;
        }
      }
    });
  }
  threads.emplace_back([&] {
    for (int i = 0; i < 10; ++i) {
      made->save(folder_.path("session"));
      made->undo();
      made->redo();
    }
  });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(unexpected, 0);
}

TEST_F(SessionReplayTest, EncodesAheadWhileNoCallRuns) {
  session_options_.encode_ahead = true;
  const auto made = session();
  while (!made->encoding().idle) std::this_thread::yield();
  EXPECT_EQ(made->encoding().encoded, kDepth);
  EXPECT_EQ(made->encoding().total, kDepth);
  made->add_click("a", {5, 3}, true, {2, 7});
  while (!made->encoding().idle) std::this_thread::yield();
  EXPECT_EQ(made->encoding().total, kWidth);
  EXPECT_EQ(made->encoding().encoded, kWidth);
}

TEST_F(SessionReplayTest, EndsWhileItEncodes) {
  session_options_.encode_ahead = true;
  for (int i = 0; i < 20; ++i) {
    const auto made = session();
    if (i % 2 == 0) made->add_box("a", Box{8, 4, 23, 15}, {0, 3});
  }
}

}  // namespace
}  // namespace medsam
