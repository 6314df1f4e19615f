// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What a C host does wrong with handles and callbacks ends with a status and a message, never in memory that is gone.
// Over the fake backend, so that `make asan` and `make tsan` see all of it.
#include <atomic>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/c_api_test.hpp"

namespace medsam {
namespace {

const medsam_box kBox{16, 8, 47, 39};
const medsam_box_3d kBox3D{16, 2, 0, 47, 12, 2};

class CApiHandles : public CApiTest {
 protected:
  void SetUp() override {
    CApiTest::SetUp();
    image_ = c_image();
    labels_view_ = c_labels(labels_);
    volume_ = {image_.data, MEDSAM_PIXEL_U8, 1, 3, 16, 64, 64, 16 * 64};
    label_volume_ = {labels_.data(), MEDSAM_LABEL_U16, 0, 3, 16, 64, 128, 16 * 128};
  }

  using Call = std::function<medsam_status()>;

  /// Every call that takes an engine.
  std::vector<Call> calls_with(const medsam_engine* engine, const medsam_embedding* embedding) {
    return {
        [=, this] { return medsam_engine_get_info(engine, &engine_info_); },
        [=, this] { return medsam_engine_get_cache_stats(engine, &stats_); },
        [=] { return medsam_engine_clear_cache(engine); },
        [=, this] { return medsam_encode(engine, &image_, nullptr, &embedding_out_); },
        [=, this] { return medsam_predict(engine, embedding, nullptr, 0, nullptr, &prediction_out_); },
        [=, this] { return medsam_segment(engine, &image_, &kBox, 1, &labels_view_, nullptr, nullptr); },
        [=, this] { return medsam_segment_embedding(engine, embedding, &kBox, 1, &labels_view_, nullptr, nullptr); },
        [=, this] { return medsam_segment_volume(engine, &volume_, &kBox3D, 1, &label_volume_, nullptr, nullptr); },
    };
  }
  /// Every call that takes an embedding.
  std::vector<Call> calls_with(const medsam_embedding* embedding, const medsam_engine* engine) {
    return {
        [=, this] { return medsam_embedding_get_info(embedding, &embedding_info_); },
        [=, this] { return medsam_embedding_serialize(embedding, nullptr, 0, &needed_); },
        [=, this] { return medsam_predict(engine, embedding, nullptr, 0, nullptr, &prediction_out_); },
        [=, this] { return medsam_segment_embedding(engine, embedding, &kBox, 1, &labels_view_, nullptr, nullptr); },
    };
  }
  /// Every call that takes a prediction.
  std::vector<Call> calls_with(const medsam_prediction* prediction) {
    return {
        [=, this] { return medsam_prediction_get_info(prediction, &prediction_info_); },
        [=, this] { return medsam_prediction_read_mask(prediction, 0, 0, mask_.data(), mask_.size(), nullptr); },
        [=, this] { return medsam_prediction_write_mask(prediction, 0, 0, &labels_view_, 1, nullptr); },
        [=, this] { return medsam_prediction_read_logits(prediction, floats_.data(), floats_.size()); },
        [=, this] { return medsam_prediction_read_iou(prediction, floats_.data(), floats_.size()); },
    };
  }
  static void expect_refused(const std::vector<Call>& calls, const std::string& part) {
    for (std::size_t k = 0; k < calls.size(); ++k) {
      SCOPED_TRACE("call " + std::to_string(k));
      EXPECT_FAILS(calls[k](), MEDSAM_INVALID_ARGUMENT, part);
    }
  }
  /// After a failure of another kind, what medsam_last_error() says next is the next failure's.
  static void set_another_message() { EXPECT_NE(medsam_engine_clear_cache(nullptr), MEDSAM_OK); }

  std::vector<std::uint16_t> labels_;
  std::vector<std::uint8_t> mask_ = std::vector<std::uint8_t>(48 * 64);
  std::vector<float> floats_ = std::vector<float>(testing::kMaskSide * testing::kMaskSide);
  medsam_image image_{};
  medsam_labels labels_view_{};
  medsam_volume volume_{};
  medsam_label_volume label_volume_{};
  medsam_engine_info engine_info_ = initialized(medsam_engine_info_init);
  medsam_cache_stats stats_ = initialized(medsam_cache_stats_init);
  medsam_embedding_info embedding_info_ = initialized(medsam_embedding_info_init);
  medsam_prediction_info prediction_info_ = initialized(medsam_prediction_info_init);
  medsam_embedding* embedding_out_ = nullptr;
  medsam_prediction* prediction_out_ = nullptr;
  size_t needed_ = 0;
};

TEST_F(CApiHandles, ADestroyedOneIsRefusedByEveryCall) {
  CEngine made = engine();
  CEmbedding embedding = encode(made);
  CPrediction prediction = predict(made, embedding, kBox);
  medsam_prediction* const old_prediction = prediction.get();
  prediction.reset();
  expect_refused(calls_with(old_prediction), "prediction: got a handle that was destroyed");
  medsam_embedding* const old_embedding = embedding.get();
  embedding.reset();
  expect_refused(calls_with(old_embedding, made.get()), "embedding: got a handle that was destroyed");
  medsam_engine* const old_engine = made.get();
  made.reset();
  expect_refused(calls_with(old_engine, old_embedding), "engine: got a handle that was destroyed");

  // Twice is once, and says so; nothing made meanwhile takes the old one's place.
  const CEngine another = engine();
  const CEmbedding another_embedding = encode(another);
  const CPrediction another_prediction = predict(another, another_embedding, kBox);
  EXPECT_NE(another.get(), old_engine);
  for (const Call& destroy : std::vector<Call>{[&] { return medsam_engine_destroy(old_engine), MEDSAM_OK; },
                                               [&] { return medsam_embedding_destroy(old_embedding), MEDSAM_OK; },
                                               [&] { return medsam_prediction_destroy(old_prediction), MEDSAM_OK; }}) {
    set_another_message();
    destroy();
    EXPECT_MESSAGE_HAS(medsam_last_error(), "got a handle that was destroyed");
  }
  for (const Call& call : calls_with(another.get(), another_embedding.get())) EXPECT_OK(call());
  for (const Call& call : calls_with(another_prediction.get())) EXPECT_OK(call());
  medsam_embedding_destroy(embedding_out_);
  medsam_prediction_destroy(prediction_out_);
}

TEST_F(CApiHandles, OneOfAnotherKindIsRefusedByEveryCall) {
  const CEngine made = engine();
  const CEmbedding embedding = encode(made);
  const CPrediction prediction = predict(made, embedding, kBox);
  const auto as_engine = [](const void* handle) { return static_cast<const medsam_engine*>(handle); };
  const auto as_embedding = [](const void* handle) { return static_cast<const medsam_embedding*>(handle); };
  const auto as_prediction = [](const void* handle) { return static_cast<const medsam_prediction*>(handle); };
  expect_refused(calls_with(as_engine(embedding.get()), embedding.get()), "engine: got a handle of another kind (emb");
  expect_refused(calls_with(as_engine(prediction.get()), embedding.get()), "engine: got a handle of another kind (pre");
  expect_refused(calls_with(as_embedding(made.get()), made.get()), "embedding: got a handle of another kind (engine)");
  expect_refused(calls_with(as_prediction(embedding.get())), "prediction: got a handle of another kind (embedding)");
  set_another_message();
  medsam_engine_destroy(static_cast<medsam_engine*>(static_cast<void*>(embedding.get())));
  EXPECT_MESSAGE_HAS(medsam_last_error(), "another kind");
  EXPECT_OK(medsam_embedding_get_info(embedding.get(), &embedding_info_)) << "it was left alone";
}

TEST_F(CApiHandles, AnyOtherPointerIsRefusedAndNotFollowed) {
  const CEngine made = engine();
  const CEmbedding embedding = encode(made);
  int mine = 0;
  const std::uintptr_t wild[] = {1, 2, 3, 0x1001, ~std::uintptr_t{0}, reinterpret_cast<std::uintptr_t>(&mine)};
  for (const std::uintptr_t value : wild) {
    const auto* pointer = reinterpret_cast<const void*>(value);  // NOLINT(performance-no-int-to-ptr)
    expect_refused(calls_with(static_cast<const medsam_engine*>(pointer), embedding.get()),
                   "engine: got a pointer that is no handle");
    expect_refused(calls_with(static_cast<const medsam_embedding*>(pointer), made.get()),
                   "embedding: got a pointer that is no");
    expect_refused(calls_with(static_cast<const medsam_prediction*>(pointer)), "prediction: got a pointer that is no");
  }
  expect_refused(calls_with(static_cast<const medsam_engine*>(nullptr), embedding.get()), "engine: got NULL");
}

TEST_F(CApiHandles, WhatAnEngineMadeOutlivesIt) {
  CEngine made = engine();
  const CEmbedding embedding = encode(made);
  const CPrediction prediction = predict(made, embedding, kBox);
  made.reset();
  for (const Call& call : calls_with(prediction.get())) EXPECT_OK(call());
  EXPECT_OK(medsam_embedding_get_info(embedding.get(), &embedding_info_));
  EXPECT_OK(medsam_embedding_serialize(embedding.get(), nullptr, 0, &needed_));
  const CEngine next = engine();
  EXPECT_OK(medsam_segment_embedding(next.get(), embedding.get(), &kBox, 1, &labels_view_, nullptr, nullptr));
}

// Two engines end while threads still encode and predict with them. A call that began goes on with what it holds; one
// that begins later is refused.
TEST_F(CApiHandles, AnEngineThatEndsLetsCallsUnderWayFinish) {
  medsam_engine* engines[2] = {engine().release(), engine().release()};
  std::atomic<int> under_way{0}, odd{0};
  std::atomic<bool> ended{false};
  const auto work = [&](medsam_engine* with, int number) {
    std::vector<std::uint8_t> pixels(48 * 64, static_cast<std::uint8_t>(number));
    std::vector<std::uint16_t> labels(48 * 64);
    const medsam_image image{pixels.data(), MEDSAM_PIXEL_U8, 1, 48, 64, 64};
    const medsam_labels out{labels.data(), MEDSAM_LABEL_U16, 0, 48, 64, 128};
    for (bool first = true;; first = false) {
      pixels[0]++;  // so that it is encoded and not taken from the cache
      const medsam_status status = medsam_segment(with, &image, &kBox, 1, &out, nullptr, nullptr);
      if (first) ++under_way;
      if (status == MEDSAM_OK) continue;
      if (status != MEDSAM_INVALID_ARGUMENT || std::strstr(medsam_last_error(), "destroyed") == nullptr) ++odd;
      if (!ended) ++odd;
      return;
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back(work, engines[i % 2], i);
  while (under_way < 4) std::this_thread::yield();
  ended = true;
  for (medsam_engine* one : engines) medsam_engine_destroy(one);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(odd, 0);
}

// A host frees one handle on many threads at once: one of them does it, the others are told.
TEST_F(CApiHandles, OneDestroyOfManyAtOnceEndsIt) {
  const CEngine made = engine();
  for (int round = 0; round < 50; ++round) {
    medsam_embedding* embedding = encode(made).release();
    std::atomic<int> told{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        medsam_embedding_destroy(embedding);
        if (std::strstr(medsam_last_error(), "destroyed") != nullptr) ++told;
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(told, 3);
  }
}

TEST_F(CApiHandles, ACallbackMayEndTheEngineThatCallsIt) {
  struct Context {
    medsam_engine* engine;
    int asked;
  } context{engine().release(), 0};
  auto options = initialized(medsam_segment_options_init);
  options.cancelled_context = &context;
  options.cancelled = [](void* data) -> std::int32_t {
    auto* at = static_cast<Context*>(data);
    if (at->asked++ == 0) medsam_engine_destroy(at->engine);
    return 0;
  };
  EXPECT_OK(medsam_segment(context.engine, &image_, &kBox, 1, &labels_view_, &options, nullptr));
  EXPECT_FAILS(medsam_segment(context.engine, &image_, &kBox, 1, &labels_view_, &options, nullptr),
               MEDSAM_INVALID_ARGUMENT, "destroyed");
}

TEST_F(CApiHandles, ACallbackThatThrowsEndsItsCallAndNothingElse) {
  const CEngine made = engine();
  auto volume_options = initialized(medsam_volume_options_init);
  const auto volume = [&] {
    return medsam_segment_volume(made.get(), &volume_, &kBox3D, 1, &label_volume_, &volume_options, nullptr);
  };
  ASSERT_EQ(volume(), MEDSAM_OK) << medsam_last_error();
  const std::vector<std::uint16_t> right = labels_;
  volume_options.progress = [](void*, std::int64_t, std::int64_t) { throw std::runtime_error("host\nsays \x1b[2J"); };
  EXPECT_FAILS(volume(), MEDSAM_BACKEND_ERROR, "host\\nsays \\x1b[2J");
  volume_options.progress = [](void*, std::int64_t, std::int64_t) { throw 42; };
  EXPECT_FAILS(volume(), MEDSAM_BACKEND_ERROR, "callback");
  volume_options.progress = nullptr;
  volume_options.cancelled = [](void*) -> std::int32_t { throw std::bad_alloc(); };
  EXPECT_EQ(volume(), MEDSAM_OUT_OF_MEMORY);
  auto segment_options = initialized(medsam_segment_options_init);
  segment_options.cancelled = [](void*) -> std::int32_t { throw std::string("no exception of ours"); };
  EXPECT_FAILS(medsam_segment(made.get(), &image_, &kBox, 1, &labels_view_, &segment_options, nullptr),
               MEDSAM_BACKEND_ERROR, "callback");
  auto predict_options = initialized(medsam_predict_options_init);
  predict_options.cancelled = segment_options.cancelled;
  const CEmbedding embedding = encode(made);
  medsam_prompt prompt = initialized(medsam_prompt_init);
  prompt.box = &kBox;
  EXPECT_FAILS(medsam_predict(made.get(), embedding.get(), &prompt, 1, &predict_options, &prediction_out_),
               MEDSAM_BACKEND_ERROR, "callback");
  EXPECT_EQ(prediction_out_, nullptr);
  volume_options.cancelled = nullptr;
  EXPECT_OK(volume());
  EXPECT_EQ(labels_, right) << "the engine answers as before";
}

TEST_F(CApiHandles, ALogThatThrowsCostsTheMessageAlone) {
  testing::write_file(folder_.path("file"), "");
  cache_dir_ = folder_.path("file/below");
  c_options_.cache_dir = cache_dir_.c_str();
  static int called;
  called = 0;
  c_options_.log = [](void*, std::int32_t, const char*) {
    ++called;
    throw 42;
  };
  const CEngine made = engine();
  EXPECT_GT(called, 0);
  EXPECT_OK(medsam_segment(made.get(), &image_, &kBox, 1, &labels_view_, nullptr, nullptr));
}

TEST_F(CApiHandles, AnyNumberButZeroCancels) {
  const CEngine made = engine();
  auto options = initialized(medsam_segment_options_init);
  options.cancelled = [](void* context) { return *static_cast<std::int32_t*>(context); };
  for (std::int32_t answer : {1, -1, 7, INT32_MIN, 1 << 30}) {
    options.cancelled_context = &answer;
    EXPECT_EQ(medsam_segment(made.get(), &image_, &kBox, 1, &labels_view_, &options, nullptr), MEDSAM_CANCELLED)
        << answer;
  }
}

}  // namespace
}  // namespace medsam
