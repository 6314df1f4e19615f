// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Embeddings of planes: kept within the budget, encoded ahead round the focus while nobody is busy.
#include "session/plane_embeddings.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "medsam/error.hpp"
#include "support/session_test.hpp"

namespace medsam::session {
namespace {

class PlaneEmbeddingsTest : public SessionTest {
 protected:
  static constexpr std::uint64_t kPlenty = 1 << 20;

  void SetUp() override {
    SessionTest::SetUp();
    options_.cache_bytes = 0;  // every encode is a run of the backend
    pixels_ = std::make_unique<Pixels>(volume(), session_options_);
  }
  std::unique_ptr<PlaneEmbeddings> embeddings(std::uint64_t bytes) {
    return std::make_unique<PlaneEmbeddings>(engine(), *pixels_, "", bytes);
  }
  /// Waits until nothing is encoded any more; false where that takes a minute.
  static bool idle(const EncodeAhead& ahead) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (!ahead.progress().idle) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::yield();
    }
    return true;
  }
  static int runs() { return testing::fake_backend().runs; }

  std::unique_ptr<Pixels> pixels_;
};

TEST_F(PlaneEmbeddingsTest, APlaneIsEncodedOnce) {
  const auto planes = embeddings(kPlenty);
  EXPECT_EQ(planes->held(0), 0);
  const int before = runs();
  const ImageEmbedding first = planes->get({0, 3});
  const ImageEmbedding again = planes->get({0, 3});
  EXPECT_EQ(runs(), before + 1);
  EXPECT_EQ(first.data(), again.data());
  static_cast<void>(planes->get({1, 3}));
  static_cast<void>(planes->get({2, 3}));
  EXPECT_EQ(runs(), before + 3) << "planes of one number and another axis are others";
  EXPECT_EQ(planes->held(0), 1);
  EXPECT_EQ(planes->held(1), 1);
  EXPECT_EQ(planes->held(2), 1);
  EXPECT_GE(planes->capacity(), 3);
}

TEST_F(PlaneEmbeddingsTest, OneIsKeptWhateverTheBudget) {
  const auto planes = embeddings(0);
  const int before = runs();
  static_cast<void>(planes->get({0, 3}));
  static_cast<void>(planes->get({0, 3}));
  EXPECT_EQ(runs(), before + 1);
  static_cast<void>(planes->get({0, 4}));
  static_cast<void>(planes->get({0, 4}));
  EXPECT_EQ(runs(), before + 2);
  static_cast<void>(planes->get({0, 3}));
  EXPECT_EQ(runs(), before + 3);
}

TEST_F(PlaneEmbeddingsTest, AFailureReachesTheCallerAndTheNextCallTriesAgain) {
  const auto planes = embeddings(kPlenty);
  testing::fake_backend().fail_after = 0;
  EXPECT_THROW(static_cast<void>(planes->get({0, 3})), BackendError);
  EXPECT_TRUE(planes->get({0, 3}).valid());
}

TEST_F(PlaneEmbeddingsTest, EncodesAllPlanesOfTheAxisFromTheMiddleOutward) {
  const auto planes = embeddings(kPlenty);
  EncodeAhead ahead(*planes, pixels_->grid(), true);
  ASSERT_TRUE(idle(ahead));
  EXPECT_EQ(ahead.progress().encoded, kDepth);
  EXPECT_EQ(ahead.progress().total, kDepth);
  ahead.focus({1, 2});
  ASSERT_TRUE(idle(ahead));
  EXPECT_EQ(ahead.progress().encoded, kHeight);
  EXPECT_EQ(ahead.progress().total, kHeight);
}

TEST_F(PlaneEmbeddingsTest, WithLittleMemoryThePlanesNextToTheFocusAreHeld) {
  const std::uint64_t each = embeddings(kPlenty)->get({0, 0}).bytes();
  for (const std::int64_t focus : {std::int64_t{0}, std::int64_t{3}, kDepth - 1}) {
    const auto planes = embeddings(3 * each);
    EncodeAhead ahead(*planes, pixels_->grid(), true);
    ASSERT_TRUE(idle(ahead));
    ahead.focus({0, focus});
    ASSERT_TRUE(idle(ahead));
    EXPECT_EQ(ahead.progress().encoded, 3);
    const int before = runs();
    const std::int64_t lowest = focus == kDepth - 1 ? focus - 2 : std::max<std::int64_t>(0, focus - 1);
    for (std::int64_t i = lowest; i < lowest + 3; ++i) static_cast<void>(planes->get({0, i}));
    EXPECT_EQ(runs(), before) << focus;
  }
}

TEST_F(PlaneEmbeddingsTest, BeginsNoPlaneWhileSomebodyIsBusy) {
  const auto planes = embeddings(kPlenty);
  static_cast<void>(planes->get({0, 0}));
  EncodeAhead ahead(*planes, pixels_->grid(), true);
  ASSERT_TRUE(idle(ahead));
  {
    const EncodeAhead::Busy busy(ahead);
    const EncodeAhead::Busy another(ahead);
    const int before = runs();
    ahead.focus({2, 5});
    for (int i = 0; i < 1000; ++i) std::this_thread::yield();
    EXPECT_EQ(runs(), before);
    EXPECT_FALSE(ahead.progress().idle);
  }
  ASSERT_TRUE(idle(ahead));
  EXPECT_EQ(ahead.progress().encoded, kWidth);
}

TEST_F(PlaneEmbeddingsTest, BeginsNoPlaneWhileAnotherSessionOfTheEngineIsBusy) {
  const auto planes = embeddings(kPlenty), others = embeddings(kPlenty);
  EncodeAhead other(*others, pixels_->grid(), false);
  auto busy = std::make_unique<EncodeAhead::Busy>(other);
  const int before = runs();
  EncodeAhead ahead(*planes, pixels_->grid(), true);
  for (int i = 0; i < 1000; ++i) std::this_thread::yield();
  EXPECT_EQ(runs(), before);
  EXPECT_FALSE(ahead.progress().idle);
  busy.reset();
  ASSERT_TRUE(idle(ahead));
  EXPECT_EQ(ahead.progress().encoded, kDepth);
}

TEST_F(PlaneEmbeddingsTest, AnotherEnginesSessionsAreNoneOfItsConcern) {
  const auto planes = embeddings(kPlenty);
  const auto other_engine = std::make_shared<const Engine>(bundle_, options_);
  PlaneEmbeddings others(other_engine, *pixels_, "", kPlenty);
  EncodeAhead other(others, pixels_->grid(), false);
  const EncodeAhead::Busy busy(other);
  EncodeAhead ahead(*planes, pixels_->grid(), true);
  ASSERT_TRUE(idle(ahead));
  EXPECT_EQ(ahead.progress().encoded, kDepth);
}

TEST_F(PlaneEmbeddingsTest, SessionsOfAnEngineEncodeAndAnswerAtOnce) {
  auto alone = session();
  static_cast<void>(alone->add_box("a", Box{4, 4, 20, 16}, {0, 3}));
  const std::vector<std::uint8_t> expected = mask_of(*alone, "a");
  session_options_.encode_ahead = true;
  std::vector<std::unique_ptr<Session>> sessions;
  for (int i = 0; i < 3; ++i) sessions.push_back(session());
  std::vector<std::vector<std::uint8_t>> masks(sessions.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < sessions.size(); ++i) {
    threads.emplace_back([&, i] {
      for (int n = 0; n < 10; ++n) {
        static_cast<void>(sessions[i]->add_box("a", Box{4, 4, 20, 16}, {0, 3}));
        masks[i] = mask_of(*sessions[i], "a");
        static_cast<void>(sessions[i]->undo());
        static_cast<void>(sessions[i]->encoding());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& mask : masks) EXPECT_EQ(mask, expected);
}

TEST_F(PlaneEmbeddingsTest, AFailureEndsItUntilTheFocusMoves) {
  const auto planes = embeddings(kPlenty);
  testing::fake_backend().fail_after = 2;
  EncodeAhead ahead(*planes, pixels_->grid(), true);
  ASSERT_TRUE(idle(ahead));
  EXPECT_EQ(ahead.progress().encoded, 2);
  ahead.focus({0, 0});
  ASSERT_TRUE(idle(ahead));
  EXPECT_EQ(ahead.progress().encoded, kDepth);
}

TEST_F(PlaneEmbeddingsTest, NotEnabledItIsIdle) {
  const auto planes = embeddings(kPlenty);
  EncodeAhead ahead(*planes, pixels_->grid(), false);
  ahead.focus({0, 1});
  EXPECT_TRUE(ahead.progress().idle);
  EXPECT_EQ(ahead.progress().encoded, 0);
}

TEST_F(PlaneEmbeddingsTest, EndsWhileItEncodes) {
  for (int i = 0; i < 20; ++i) {
    const auto planes = embeddings(kPlenty);
    EncodeAhead ahead(*planes, pixels_->grid(), true);
    if (i % 2 == 0) ahead.focus({2, i});
  }
}

}  // namespace
}  // namespace medsam::session
