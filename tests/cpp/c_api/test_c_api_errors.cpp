// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What the C API refuses, and that every status is raised with a message. Over the fake backend, which can be told to
// fail.
#include <limits>
#include <new>
#include <string>
#include <vector>

#include "c_api/call.hpp"
#include "support/c_api_test.hpp"
#include "support/fake_backend.hpp"
#include "support/system.hpp"

namespace medsam {
namespace {

const medsam_box kBox{16, 8, 47, 39};
const medsam_box_3d kBox3D{16, 2, 0, 47, 12, 1};

class CApiErrors : public CApiTest {
 protected:
  void SetUp() override {
    CApiTest::SetUp();
    image_ = c_image();
    labels_view_ = c_labels(labels_);
    volume_ = {image_.data, MEDSAM_PIXEL_U8, 1, 3, 16, 64, 64, 16 * 64};
    label_volume_ = {labels_.data(), MEDSAM_LABEL_U16, 0, 3, 16, 64, 128, 16 * 128};
  }
  void TearDown() override { testing::fake_backend().fail_after = -1; }

  medsam_status create(const char* bundle) {
    medsam_engine* made = nullptr;
    const medsam_status status = medsam_engine_create(bundle, &c_options_, &made);
    EXPECT_EQ(made == nullptr, status != MEDSAM_OK);
    medsam_engine_destroy(made);
    return status;
  }
  static medsam_status ask(const CEngine& engine, const CEmbedding& embedding, const medsam_prompt& prompt) {
    medsam_prediction* made = nullptr;
    const medsam_status status = medsam_predict(engine.get(), embedding.get(), &prompt, 1, nullptr, &made);
    medsam_prediction_destroy(made);
    return status;
  }
  medsam_status segment(const CEngine& engine, const medsam_image& image, const medsam_labels& labels,
                        const medsam_segment_options* options = nullptr) {
    return medsam_segment(engine.get(), &image, &kBox, 1, &labels, options, nullptr);
  }
  medsam_status segment(const CEngine& engine, const medsam_volume& volume, const medsam_label_volume& labels) {
    return medsam_segment_volume(engine.get(), &volume, &kBox3D, 1, &labels, nullptr, nullptr);
  }

  std::vector<std::uint16_t> labels_;
  medsam_image image_{};
  medsam_labels labels_view_{};
  medsam_volume volume_{};
  medsam_label_volume label_volume_{};
};

TEST_F(CApiErrors, EveryStatusIsRaised) {
  const CEngine made = engine();
  const CEmbedding embedding = encode(made);
  medsam_prompt prompt = initialized(medsam_prompt_init);
  const medsam_box reversed{47, 8, 16, 39};
  prompt.box = &reversed;
  EXPECT_FAILS(ask(made, embedding, prompt), MEDSAM_INVALID_ARGUMENT, "box");
  EXPECT_FAILS(create(folder_.path("absent").c_str()), MEDSAM_MODEL_ERROR, "absent");
  EXPECT_OK(medsam_engine_clear_cache(made.get()));
  testing::fake_backend().fail_after = 0;
  EXPECT_FAILS(segment(made, image_, labels_view_), MEDSAM_BACKEND_ERROR, "told to fail");
  medsam_embedding* out = nullptr;
  testing::fake_backend().fail_after = 0;
  EXPECT_EQ(medsam_encode(made.get(), &image_, nullptr, &out), MEDSAM_BACKEND_ERROR);
  EXPECT_EQ(out, nullptr);
  EXPECT_OK(segment(made, image_, labels_view_));
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  EXPECT_FAILS(medsam_segment(made.get(), &image_, &kBox, kMost, &labels_view_, nullptr, nullptr), MEDSAM_OUT_OF_MEMORY,
               "counts");
  c_options_.device = "TPU";
  EXPECT_FAILS(create(bundle_.c_str()), MEDSAM_UNSUPPORTED, "TPU");
  auto options = initialized(medsam_segment_options_init);
  options.cancelled = [](void*) -> std::int32_t { return 1; };
  EXPECT_FAILS(segment(made, image_, labels_view_, &options), MEDSAM_CANCELLED, "cancel");
}

TEST_F(CApiErrors, NothingThrownLeavesACall) {
  EXPECT_FAILS(c_api::call([] { throw std::bad_alloc(); }), MEDSAM_OUT_OF_MEMORY, "memory");
  EXPECT_FAILS(c_api::call([] { throw std::runtime_error("what it says"); }), MEDSAM_BACKEND_ERROR, "what it says");
  EXPECT_FAILS(c_api::call([] { throw 42; }), MEDSAM_BACKEND_ERROR, "callback");
  EXPECT_OK(c_api::call([] {}));
  EXPECT_MESSAGE_HAS(medsam_last_error(), "callback") << "a success leaves the message alone";
  // A host in C++ whose callback throws all the same gets a status, not the end of its process.
  const CEngine made = engine();
  auto options = initialized(medsam_segment_options_init);
  options.cancelled = [](void*) -> std::int32_t { throw 42; };
  EXPECT_EQ(segment(made, image_, labels_view_, &options), MEDSAM_BACKEND_ERROR);
}

TEST_F(CApiErrors, NullIsRefusedWhereItHasNoMeaning) {
  const CEngine made = engine();
  const CEmbedding embedding = encode(made);
  const CPrediction prediction = predict(made, embedding, kBox);
  medsam_engine* engine_out = nullptr;
  medsam_embedding* embedding_out = nullptr;
  medsam_prediction* prediction_out = nullptr;
  size_t needed = 0;
  std::uint8_t mask[64 * 48];
  float floats[testing::kMaskSide * testing::kMaskSide];
  auto engine_info = initialized(medsam_engine_info_init);
  auto embedding_info = initialized(medsam_embedding_info_init);
  auto prediction_info = initialized(medsam_prediction_info_init);
  auto stats = initialized(medsam_cache_stats_init);
  const medsam_prompt prompt = initialized(medsam_prompt_init);
  const medsam_engine* e = made.get();
  const medsam_embedding* i = embedding.get();
  const medsam_prediction* p = prediction.get();
  const medsam_status refused[] = {
      medsam_engine_create(nullptr, nullptr, &engine_out),
      medsam_engine_create(bundle_.c_str(), nullptr, nullptr),
      medsam_engine_get_info(nullptr, &engine_info),
      medsam_engine_get_info(e, nullptr),
      medsam_engine_get_cache_stats(nullptr, &stats),
      medsam_engine_get_cache_stats(e, nullptr),
      medsam_engine_clear_cache(nullptr),
      medsam_encode(nullptr, &image_, nullptr, &embedding_out),
      medsam_encode(e, nullptr, nullptr, &embedding_out),
      medsam_encode(e, &image_, nullptr, nullptr),
      medsam_embedding_get_info(nullptr, &embedding_info),
      medsam_embedding_get_info(i, nullptr),
      medsam_embedding_serialize(nullptr, nullptr, 0, &needed),
      medsam_embedding_serialize(i, nullptr, 0, nullptr),
      medsam_embedding_serialize(i, nullptr, 1 << 20, &needed),
      medsam_embedding_deserialize(nullptr, 4, &embedding_out),
      medsam_embedding_deserialize(mask, 4, nullptr),
      medsam_predict(nullptr, i, &prompt, 1, nullptr, &prediction_out),
      medsam_predict(e, nullptr, &prompt, 1, nullptr, &prediction_out),
      medsam_predict(e, i, nullptr, 1, nullptr, &prediction_out),
      medsam_predict(e, i, &prompt, 1, nullptr, nullptr),
      medsam_prediction_get_info(nullptr, &prediction_info),
      medsam_prediction_get_info(p, nullptr),
      medsam_prediction_read_mask(nullptr, 0, 0, mask, sizeof mask, nullptr),
      medsam_prediction_read_mask(p, 0, 0, nullptr, sizeof mask, nullptr),
      medsam_prediction_write_mask(nullptr, 0, 0, &labels_view_, 1, nullptr),
      medsam_prediction_write_mask(p, 0, 0, nullptr, 1, nullptr),
      medsam_prediction_read_logits(nullptr, floats, 256),
      medsam_prediction_read_logits(p, nullptr, 256),
      medsam_prediction_read_iou(nullptr, floats, 1),
      medsam_prediction_read_iou(p, nullptr, 1),
      medsam_segment(nullptr, &image_, &kBox, 1, &labels_view_, nullptr, nullptr),
      medsam_segment(e, nullptr, &kBox, 1, &labels_view_, nullptr, nullptr),
      medsam_segment(e, &image_, nullptr, 1, &labels_view_, nullptr, nullptr),
      medsam_segment(e, &image_, &kBox, 1, nullptr, nullptr, nullptr),
      medsam_segment_embedding(nullptr, i, &kBox, 1, &labels_view_, nullptr, nullptr),
      medsam_segment_embedding(e, nullptr, &kBox, 1, &labels_view_, nullptr, nullptr),
      medsam_segment_embedding(e, i, nullptr, 1, &labels_view_, nullptr, nullptr),
      medsam_segment_embedding(e, i, &kBox, 1, nullptr, nullptr, nullptr),
      medsam_segment_volume(nullptr, &volume_, &kBox3D, 1, &label_volume_, nullptr, nullptr),
      medsam_segment_volume(e, nullptr, &kBox3D, 1, &label_volume_, nullptr, nullptr),
      medsam_segment_volume(e, &volume_, nullptr, 1, &label_volume_, nullptr, nullptr),
      medsam_segment_volume(e, &volume_, &kBox3D, 1, nullptr, nullptr, nullptr),
  };
  for (std::size_t k = 0; k < std::size(refused); ++k) EXPECT_EQ(refused[k], MEDSAM_INVALID_ARGUMENT) << "call " << k;
  EXPECT_EQ(engine_out, nullptr);
  EXPECT_EQ(embedding_out, nullptr);
  EXPECT_EQ(prediction_out, nullptr);
  medsam_engine_destroy(nullptr);
  medsam_embedding_destroy(nullptr);
  medsam_prediction_destroy(nullptr);
}

TEST_F(CApiErrors, AStructWithoutItsInitFunctionIsRefused) {
  const CEngine made = engine();
  const CEmbedding embedding = encode(made);
  medsam_engine_info info{};
  EXPECT_FAILS(medsam_engine_get_info(made.get(), &info), MEDSAM_INVALID_ARGUMENT, "engine info");
  medsam_prompt prompt{};
  prompt.box = &kBox;
  EXPECT_FAILS(ask(made, embedding, prompt), MEDSAM_INVALID_ARGUMENT, "prompt 0");
  medsam_segment_options options{};
  EXPECT_FAILS(segment(made, image_, labels_view_, &options), MEDSAM_INVALID_ARGUMENT, "segment options");
  c_options_.size = 12345;
  EXPECT_FAILS(create(bundle_.c_str()), MEDSAM_INVALID_ARGUMENT, "engine options");
}

TEST_F(CApiErrors, NumbersThatStandForNothingAreRefused) {
  const CEngine made = engine();
  const CEmbedding embedding = encode(made);
  medsam_image image = image_;
  image.pixel_type = 4;
  EXPECT_FAILS(segment(made, image, labels_view_), MEDSAM_INVALID_ARGUMENT, "pixel_type: got 4");
  medsam_labels labels = labels_view_;
  labels.label_type = -1;
  EXPECT_FAILS(segment(made, image_, labels), MEDSAM_INVALID_ARGUMENT, "label_type: got -1");
  labels = labels_view_;
  labels.reserved = 1;
  EXPECT_FAILS(segment(made, image_, labels), MEDSAM_INVALID_ARGUMENT, "labels.reserved");
  medsam_volume volume = volume_;
  volume.pixel_type = 9;
  EXPECT_FAILS(segment(made, volume, label_volume_), MEDSAM_INVALID_ARGUMENT, "pixel_type: got 9");
  medsam_label_volume label_volume = label_volume_;
  label_volume.reserved = 2;
  EXPECT_FAILS(segment(made, volume_, label_volume), MEDSAM_INVALID_ARGUMENT, "labels.reserved");
  EXPECT_OK(segment(made, volume_, label_volume_));

  auto options = initialized(medsam_predict_options_init);
  medsam_prompt prompt = initialized(medsam_prompt_init);
  prompt.box = &kBox;
  medsam_prediction* out = nullptr;
  options.multimask_output = 2;
  EXPECT_FAILS(medsam_predict(made.get(), embedding.get(), &prompt, 1, &options, &out), MEDSAM_INVALID_ARGUMENT,
               "multimask_output: got 2");
  options.multimask_output = 0;
  options.reserved = 3;
  EXPECT_FAILS(medsam_predict(made.get(), embedding.get(), &prompt, 1, &options, &out), MEDSAM_INVALID_ARGUMENT,
               "reserved");

  const auto with = [&](auto member, auto value, const char* part) {
    const auto kept = c_options_.*member;
    c_options_.*member = value;
    EXPECT_FAILS(create(bundle_.c_str()), MEDSAM_INVALID_ARGUMENT, part);
    c_options_.*member = kept;
  };
  with(&medsam_engine_options::embedding_storage, 2, "embedding_storage: got 2");
  with(&medsam_engine_options::allow_uncertified, -1, "allow_uncertified: got -1");
  with(&medsam_engine_options::verify, 7, "verify: got 7");
  with(&medsam_engine_options::threads, -1, "threads");
  with(&medsam_engine_options::profile, "nope", "nope");
  EXPECT_OK(create(bundle_.c_str()));
}

TEST_F(CApiErrors, PromptsAndBuffersAreChecked) {
  const CEngine made = engine();
  const CEmbedding embedding = encode(made);
  const auto prompt = [&](auto&& change) {
    medsam_prompt changed = initialized(medsam_prompt_init);
    changed.box = &kBox;
    change(changed);
    return ask(made, embedding, changed);
  };
  const medsam_point point{20, 20, 1, 0}, reserved{20, 20, 1, 5};
  const std::vector<float> mask(testing::kMaskSide * testing::kMaskSide);
  const std::uint8_t scribble[64] = {1};
  EXPECT_OK(prompt([](medsam_prompt&) {}));
  EXPECT_FAILS(prompt([](medsam_prompt& p) { p.box = nullptr; }), MEDSAM_INVALID_ARGUMENT, "prompt 0");
  EXPECT_FAILS(prompt([](medsam_prompt& p) { p.point_count = 2; }), MEDSAM_INVALID_ARGUMENT, "points: got NULL");
  EXPECT_FAILS(prompt([&](medsam_prompt& p) { p.points = &point, p.point_count = -1; }), MEDSAM_INVALID_ARGUMENT,
               "count of -1");
  EXPECT_FAILS(prompt([&](medsam_prompt& p) { p.points = &reserved, p.point_count = 1; }), MEDSAM_INVALID_ARGUMENT,
               "point.reserved");
  EXPECT_FAILS(prompt([&](medsam_prompt& p) { p.mask_input = mask.data(), p.mask_input_count = 255; }),
               MEDSAM_INVALID_ARGUMENT, "got 255 floats, expected 256");
  EXPECT_FAILS(prompt([&](medsam_prompt& p) { p.mask_input_count = 256; }), MEDSAM_INVALID_ARGUMENT, "got NULL");
  EXPECT_FAILS(prompt([&](medsam_prompt& p) {
                 p.scribble = scribble;
                 p.scribble_height = 48;
                 p.scribble_width = p.scribble_row_stride = 64;
               }),
               MEDSAM_UNSUPPORTED, "scribble");
  medsam_prediction* out = nullptr;
  EXPECT_EQ(medsam_predict(made.get(), embedding.get(), nullptr, -1, nullptr, &out), MEDSAM_INVALID_ARGUMENT);

  const CPrediction answer = predict(made, embedding, kBox);
  std::vector<std::uint8_t> pixels(48 * 64);
  std::vector<float> floats(testing::kMaskSide * testing::kMaskSide);
  EXPECT_FAILS(medsam_prediction_read_mask(answer.get(), 0, 0, pixels.data(), pixels.size() - 1, nullptr),
               MEDSAM_INVALID_ARGUMENT, "expected 3072");
  EXPECT_EQ(medsam_prediction_read_mask(answer.get(), 1, 0, pixels.data(), pixels.size(), nullptr),
            MEDSAM_INVALID_ARGUMENT);
  EXPECT_EQ(medsam_prediction_read_mask(answer.get(), 0, -1, pixels.data(), pixels.size(), nullptr),
            MEDSAM_INVALID_ARGUMENT);
  EXPECT_FAILS(medsam_prediction_read_logits(answer.get(), floats.data(), floats.size() - 1), MEDSAM_INVALID_ARGUMENT,
               "expected 256");
  EXPECT_FAILS(medsam_prediction_read_iou(answer.get(), floats.data(), 0), MEDSAM_INVALID_ARGUMENT, "expected 1");
  EXPECT_FAILS(medsam_prediction_write_mask(answer.get(), 0, 0, &labels_view_, 70000, nullptr), MEDSAM_INVALID_ARGUMENT,
               "70000");
}

TEST_F(CApiErrors, AForkedChildGetsAClearError) {
  const CEngine made = engine();
  const auto code = testing::in_a_child([&] {
    medsam_embedding* out = nullptr;
    auto stats = initialized(medsam_cache_stats_init);
    auto info = initialized(medsam_engine_info_init);
    const bool refused =
        medsam_encode(made.get(), &image_, nullptr, &out) == MEDSAM_UNSUPPORTED &&
        medsam_segment(made.get(), &image_, &kBox, 1, &labels_view_, nullptr, nullptr) == MEDSAM_UNSUPPORTED &&
        medsam_segment_volume(made.get(), &volume_, &kBox3D, 1, &label_volume_, nullptr, nullptr) ==
            MEDSAM_UNSUPPORTED &&
        medsam_engine_get_cache_stats(made.get(), &stats) == MEDSAM_UNSUPPORTED &&
        medsam_engine_clear_cache(made.get()) == MEDSAM_UNSUPPORTED &&
        medsam_engine_get_info(made.get(), &info) == MEDSAM_OK;
    return refused ? 0 : 1;
  });
  if (!code) GTEST_SKIP() << "no fork";
  EXPECT_EQ(*code, 0);
}

}  // namespace
}  // namespace medsam
