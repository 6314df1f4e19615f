// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The C API on images: what it answers is what the C++ API answers.
#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "support/c_api_client.h"
#include "support/c_api_test.hpp"

namespace medsam {
namespace {

const medsam_box kBox{16, 8, 47, 39};

bool operator==(const medsam_mask_stats& a, const MaskStats& b) {
  return a.area == b.area && a.x0 == b.x0 && a.y0 == b.y0 && a.x1 == b.x1 && a.y1 == b.y1;
}

TEST(CApi, KnowsItsVersionAndItsStatuses) {
  EXPECT_STREQ(medsam_version(), MEDSAM_ENGINE_TEST_VERSION);
  const std::pair<ErrorCode, const char*> codes[] = {{ErrorCode::invalid_argument, "MEDSAM_INVALID_ARGUMENT"},
                                                     {ErrorCode::model, "MEDSAM_MODEL_ERROR"},
                                                     {ErrorCode::backend, "MEDSAM_BACKEND_ERROR"},
                                                     {ErrorCode::out_of_memory, "MEDSAM_OUT_OF_MEMORY"},
                                                     {ErrorCode::unsupported, "MEDSAM_UNSUPPORTED"},
                                                     {ErrorCode::cancelled, "MEDSAM_CANCELLED"}};
  EXPECT_STREQ(medsam_status_name(MEDSAM_OK), "MEDSAM_OK");
  for (const auto& [code, name] : codes) EXPECT_STREQ(medsam_status_name(static_cast<medsam_status>(code)), name);
  EXPECT_STREQ(medsam_status_name(-5), "unknown status");
  EXPECT_STREQ(medsam_status_name(7), "unknown status");
}

TEST_F(CApiTest, AProgramInCSegments) {
  std::int64_t area = 0;
  const char* fault = c_client_segments(bundle_.c_str(), cache_dir_.c_str(), &area);
  EXPECT_EQ(fault, nullptr) << fault;
  EXPECT_NEAR(static_cast<double>(area), 32 * 32, 300);
}

TEST_F(CApiTest, DefaultsAreThoseOfCpp) {
  const EngineOptions wanted;
  const auto got = initialized(medsam_engine_options_init);
  EXPECT_EQ(got.size, sizeof got);
  EXPECT_EQ(got.device, wanted.device);
  EXPECT_EQ(got.precision, wanted.precision);
  EXPECT_EQ(got.profile, wanted.profile);
  EXPECT_EQ(got.cache_dir, wanted.cache_dir);
  EXPECT_EQ(got.embedding_store, wanted.embedding_store);
  EXPECT_EQ(got.modality, wanted.modality);
  EXPECT_EQ(got.cache_bytes, wanted.cache_bytes);
  EXPECT_EQ(got.embedding_store_bytes, wanted.embedding_store_bytes);
  EXPECT_EQ(got.expert_limit, wanted.expert_limit);
  EXPECT_EQ(got.threads, wanted.threads);
  EXPECT_EQ(got.embedding_storage, MEDSAM_EMBEDDING_F32);
  EXPECT_EQ(got.allow_uncertified, 0);
  EXPECT_EQ(got.verify, 0);
  EXPECT_EQ(got.log, nullptr);
  EXPECT_EQ(initialized(medsam_predict_options_init).multimask_output, 0);
  EXPECT_EQ(initialized(medsam_segment_options_init).cancelled, nullptr);
  EXPECT_EQ(initialized(medsam_encode_options_init).modality, nullptr);
  EXPECT_EQ(initialized(medsam_prompt_init).box, nullptr);
}

TEST_F(CApiTest, DescribesWhatItRuns) {
  const Engine wanted(bundle_, options_);
  const CEngine made = engine();
  auto info = initialized(medsam_engine_info_init);
  ASSERT_EQ(medsam_engine_get_info(made.get(), &info), MEDSAM_OK);
  EXPECT_EQ(info.size, sizeof info);
  EXPECT_EQ(info.family, wanted.info().family);
  EXPECT_EQ(info.profile, wanted.info().profile);
  EXPECT_EQ(info.device, wanted.info().device);
  EXPECT_EQ(info.precision, wanted.info().precision);
  EXPECT_EQ(info.encoder_precision, wanted.info().encoder_precision);
  EXPECT_EQ(info.decoder_precision, wanted.info().decoder_precision);
  EXPECT_EQ(info.backend, wanted.info().backend);
  EXPECT_EQ(info.encoder_backend, wanted.info().encoder_backend);
  EXPECT_EQ(info.decoder_backend, wanted.info().decoder_backend);
  EXPECT_EQ(info.model_hash, wanted.info().model_hash);
  EXPECT_EQ(info.fingerprint, wanted.info().fingerprint);
  ASSERT_GE(info.certified_count, 1u);
  EXPECT_STREQ(info.certified[0], "f32/f32");
  EXPECT_EQ(info.modality_count, 0u);
  EXPECT_EQ(info.expert_count, 0u);
  EXPECT_EQ(info.embedding_shape[1], testing::kEmbeddingChannels);
  EXPECT_EQ(info.mask_shape[0], testing::kMaskSide);
  EXPECT_EQ(info.input_size, testing::kInputSize);
  EXPECT_EQ(info.threads, 0);
  EXPECT_EQ(info.tuned, 0);
  EXPECT_EQ(info.accepts_points, 1);
  EXPECT_EQ(info.accepts_mask, 1);
  EXPECT_EQ(info.accepts_scribble, 0);
  EXPECT_EQ(info.needs_modality, 0);
}

TEST_F(CApiTest, EncodesOnceAndDescribesTheEmbedding) {
  const CEngine made = engine();
  const CEmbedding embedding = encode(made), again = encode(made);
  auto info = initialized(medsam_embedding_info_init);
  ASSERT_EQ(medsam_embedding_get_info(embedding.get(), &info), MEDSAM_OK);
  EXPECT_EQ(info.height, 48);
  EXPECT_EQ(info.width, 64);
  EXPECT_EQ(info.shape[0], 1);
  EXPECT_EQ(info.shape[3], testing::kEmbeddingSide);
  const ImageEmbedding wanted = Engine(bundle_, options_).encode(image());
  EXPECT_EQ(info.bytes, wanted.bytes());
  EXPECT_EQ(info.fingerprint, wanted.fingerprint());
  EXPECT_TRUE(std::equal(wanted.data(), wanted.data() + wanted.bytes() / sizeof(float), info.data));

  auto stats = initialized(medsam_cache_stats_init);
  EXPECT_OK(medsam_engine_get_cache_stats(made.get(), &stats));
  EXPECT_EQ(stats.misses, 1u);
  EXPECT_EQ(stats.hits, 1u);
  EXPECT_EQ(stats.entries, 1u);
  EXPECT_EQ(stats.bytes, info.bytes);
  EXPECT_EQ(stats.budget, std::uint64_t{256} << 20);
  EXPECT_EQ(stats.store_hits + stats.evictions, 0u);
  EXPECT_OK(medsam_engine_clear_cache(made.get()));
  EXPECT_OK(medsam_engine_get_cache_stats(made.get(), &stats));
  EXPECT_EQ(stats.entries, 0u);
}

TEST_F(CApiTest, AnEmbeddingTravelsAsBytes) {
  const CEngine made = engine();
  const CEmbedding embedding = encode(made);
  size_t needed = 0;
  ASSERT_EQ(medsam_embedding_serialize(embedding.get(), nullptr, 0, &needed), MEDSAM_OK);
  std::vector<char> bytes(needed);
  size_t written = 0;
  EXPECT_FAILS(medsam_embedding_serialize(embedding.get(), bytes.data(), needed - 1, &written), MEDSAM_INVALID_ARGUMENT,
               "buffer");
  EXPECT_EQ(written, needed) << "what is needed is told where the buffer is too small, too";
  ASSERT_EQ(medsam_embedding_serialize(embedding.get(), bytes.data(), needed, &written), MEDSAM_OK);
  medsam_embedding* read = nullptr;
  ASSERT_EQ(medsam_embedding_deserialize(bytes.data(), written, &read), MEDSAM_OK) << medsam_last_error();
  const CEmbedding copy(read);
  auto info = initialized(medsam_embedding_info_init), copied = info;
  EXPECT_OK(medsam_embedding_get_info(embedding.get(), &info));
  EXPECT_OK(medsam_embedding_get_info(copy.get(), &copied));
  EXPECT_STREQ(info.fingerprint, copied.fingerprint);
  EXPECT_EQ(std::memcmp(info.data, copied.data, info.bytes), 0);
  bytes[needed / 2] = static_cast<char>(bytes[needed / 2] ^ 1);
  EXPECT_EQ(medsam_embedding_deserialize(bytes.data(), written, &read), MEDSAM_MODEL_ERROR);
  EXPECT_EQ(read, nullptr);
}

TEST_F(CApiTest, AnswersPromptsAsCppDoes) {
  const Engine cpp(bundle_, options_);
  Prompt box, clicks, masked;
  box.box = Box{16, 8, 47, 39};
  clicks.points = {{20, 20, 1}, {40, 30, 0}};
  const std::vector<float> mask(testing::kMaskSide * testing::kMaskSide, 2.0f);
  masked.box = box.box;
  masked.mask_input = mask.data();
  PredictOptions multimask;
  multimask.multimask_output = true;
  const Prediction wanted = cpp.predict(cpp.encode(image()), {box, clicks, masked}, multimask);

  const CEngine made = engine();
  const CEmbedding embedding = encode(made);
  medsam_prompt prompts[3];
  for (medsam_prompt& prompt : prompts) prompt = initialized(medsam_prompt_init);
  const medsam_point points[] = {{20, 20, 1, 0}, {40, 30, 0, 0}};
  prompts[0].box = prompts[2].box = &kBox;
  prompts[1].points = points;
  prompts[1].point_count = 2;
  prompts[2].mask_input = mask.data();
  prompts[2].mask_input_count = static_cast<std::int64_t>(mask.size());
  auto options = initialized(medsam_predict_options_init);
  options.multimask_output = 1;
  medsam_prediction* out = nullptr;
  ASSERT_EQ(medsam_predict(made.get(), embedding.get(), prompts, 3, &options, &out), MEDSAM_OK) << medsam_last_error();
  const CPrediction prediction(out);

  auto info = initialized(medsam_prediction_info_init);
  ASSERT_EQ(medsam_prediction_get_info(prediction.get(), &info), MEDSAM_OK);
  EXPECT_EQ(info.prompts, 3);
  EXPECT_EQ(info.masks_per_prompt, 3);
  EXPECT_EQ(info.low_res_height, testing::kMaskSide);
  EXPECT_EQ(info.low_res_width, testing::kMaskSide);
  EXPECT_EQ(info.height, 48);
  EXPECT_EQ(info.width, 64);
  std::vector<float> logits(9 * testing::kMaskSide * testing::kMaskSide), iou(9);
  ASSERT_EQ(medsam_prediction_read_logits(prediction.get(), logits.data(), logits.size()), MEDSAM_OK);
  EXPECT_TRUE(std::equal(logits.begin(), logits.end(), wanted.low_res_logits()));
  ASSERT_EQ(medsam_prediction_read_iou(prediction.get(), iou.data(), iou.size()), MEDSAM_OK);
  EXPECT_TRUE(std::equal(iou.begin(), iou.end(), wanted.iou_predictions()));

  std::vector<std::uint16_t> wanted_labels, labels;
  const MaskStats wanted_stats = wanted.write_mask(1, 2, view(wanted_labels), 7);
  const medsam_labels c_view = c_labels(labels);
  medsam_mask_stats stats{};
  ASSERT_EQ(medsam_prediction_write_mask(prediction.get(), 1, 2, &c_view, 7, &stats), MEDSAM_OK);
  EXPECT_TRUE(stats == wanted_stats);
  EXPECT_EQ(labels, wanted_labels);
  std::vector<std::uint8_t> pixels(48 * 64, 9);
  ASSERT_EQ(medsam_prediction_read_mask(prediction.get(), 1, 2, pixels.data(), pixels.size(), nullptr), MEDSAM_OK);
  for (std::size_t i = 0; i < pixels.size(); ++i) ASSERT_EQ(pixels[i], wanted_labels[i] == 7 ? 1 : 0) << i;
}

TEST_F(CApiTest, ZeroPromptsAreAnEmptyAnswer) {
  const CEngine made = engine();
  const CEmbedding embedding = encode(made);
  medsam_prediction* out = nullptr;
  ASSERT_EQ(medsam_predict(made.get(), embedding.get(), nullptr, 0, nullptr, &out), MEDSAM_OK) << medsam_last_error();
  const CPrediction prediction(out);
  auto info = initialized(medsam_prediction_info_init);
  EXPECT_OK(medsam_prediction_get_info(prediction.get(), &info));
  EXPECT_EQ(info.prompts, 0);
  EXPECT_OK(medsam_prediction_read_iou(prediction.get(), nullptr, 0));
  EXPECT_OK(medsam_prediction_read_logits(prediction.get(), nullptr, 0));
  std::vector<std::uint16_t> labels;
  const medsam_labels c_view = c_labels(labels);
  EXPECT_OK(medsam_segment_embedding(made.get(), embedding.get(), nullptr, 0, &c_view, nullptr, nullptr));
  EXPECT_EQ(std::count(labels.begin(), labels.end(), 0), 48 * 64);
}

TEST_F(CApiTest, SegmentsAsCppDoesAndOutlivesTheEngine) {
  const Engine cpp(bundle_, options_);
  std::vector<std::uint16_t> wanted, whole, encoded;
  const auto wanted_stats = cpp.segment(image(), {{0, 0, 40, 40}, {20, 20, 60, 44}}, view(wanted));
  CEngine made = engine();
  const medsam_box boxes[] = {{0, 0, 40, 40}, {20, 20, 60, 44}};
  const medsam_image in = c_image();
  medsam_labels c_view = c_labels(whole);
  medsam_mask_stats stats[2]{};
  ASSERT_EQ(medsam_segment(made.get(), &in, boxes, 2, &c_view, nullptr, stats), MEDSAM_OK) << medsam_last_error();
  EXPECT_EQ(whole, wanted);
  EXPECT_TRUE(stats[0] == wanted_stats[0] && stats[1] == wanted_stats[1]);
  const CEmbedding embedding = encode(made);
  c_view = c_labels(encoded);
  ASSERT_EQ(medsam_segment_embedding(made.get(), embedding.get(), boxes, 2, &c_view, nullptr, nullptr), MEDSAM_OK);
  EXPECT_EQ(encoded, wanted);

  const CPrediction prediction = predict(made, embedding, kBox);
  made.reset();
  auto info = initialized(medsam_embedding_info_init);
  EXPECT_OK(medsam_embedding_get_info(embedding.get(), &info));
  std::vector<std::uint8_t> mask(48 * 64);
  EXPECT_OK(medsam_prediction_read_mask(prediction.get(), 0, 0, mask.data(), mask.size(), nullptr));
  EXPECT_GT(std::count(mask.begin(), mask.end(), 1), 0);
}

}  // namespace
}  // namespace medsam
