// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// medsam/medsam.h: prompts and their answers.
#include <algorithm>
#include <cstring>

#include "c_api/call.hpp"
#include "c_api/handles.hpp"
#include "c_api/structs.hpp"
#include "medsam/medsam.h"

using namespace medsam;
using namespace medsam::c_api;

namespace {

// Writes one mask and, where asked for, its statistics.
void write(const Prediction& prediction, std::int64_t n, std::int64_t m, const LabelView& out, std::uint32_t label,
           medsam_mask_stats* stats) {
  const MaskStats written = prediction.write_mask(n, m, out, label);
  if (stats != nullptr) *stats = to_stats(written);
}

}  // namespace

medsam_status medsam_prompt_init(medsam_prompt* prompt, size_t size) {
  return call([&] { store(prompt, size, {}, "prompt"); });
}

medsam_status medsam_predict_options_init(medsam_predict_options* options, size_t size) {
  return call([&] { store(options, size, {}, "predict options"); });
}

medsam_status medsam_prediction_info_init(medsam_prediction_info* info, size_t size) {
  return call([&] { store(info, size, {}, "prediction info"); });
}

medsam_status medsam_predict(const medsam_engine* engine, const medsam_embedding* embedding,
                             const medsam_prompt* prompts, int64_t count, const medsam_predict_options* options,
                             medsam_prediction** prediction) {
  return call([&] {
    required(prediction, "prediction") = nullptr;
    const auto held = target(engine);
    const Engine& from = held->engine;
    const auto image = target(embedding);
    const PredictOptions how = to_options(options);
    const Prediction answer = from.predict(*image, to_prompts(prompts, count, from.info().mask_shape), how);
    *prediction = make_handle<medsam_prediction>(std::make_shared<const Prediction>(answer));
  });
}

void medsam_prediction_destroy(medsam_prediction* prediction) { destroy(prediction); }

medsam_status medsam_prediction_get_info(const medsam_prediction* prediction, medsam_prediction_info* info) {
  return call([&] {
    const auto held = target(prediction);
    const Prediction& from = *held;
    medsam_prediction_info out{};
    out.prompts = from.size();
    out.masks_per_prompt = from.masks_per_prompt();
    out.low_res_height = from.low_res_height();
    out.low_res_width = from.low_res_width();
    out.height = from.height();
    out.width = from.width();
    store(info, required(info, "info").size, out, "prediction info");
  });
}

medsam_status medsam_prediction_read_mask(const medsam_prediction* prediction, int64_t n, int64_t m, uint8_t* mask,
                                          size_t capacity, medsam_mask_stats* stats) {
  return call([&] {
    const auto held = target(prediction);
    const Prediction& from = *held;
    const auto pixels = static_cast<std::uint64_t>(from.height() * from.width());
    check_capacity(mask, capacity, pixels, "mask, in bytes");
    std::memset(mask, 0, static_cast<std::size_t>(pixels));
    write(from, n, m, {mask, LabelType::u8, from.height(), from.width(), from.width()}, 1, stats);
  });
}

medsam_status medsam_prediction_write_mask(const medsam_prediction* prediction, int64_t n, int64_t m,
                                           const medsam_labels* labels, uint32_t label, medsam_mask_stats* stats) {
  return call([&] { write(*target(prediction), n, m, to_view(labels), label, stats); });
}

medsam_status medsam_prediction_read_logits(const medsam_prediction* prediction, float* logits, size_t capacity) {
  return call([&] {
    const auto held = target(prediction);
    const Prediction& from = *held;
    const auto count = static_cast<std::uint64_t>(from.size() * from.masks_per_prompt() * from.low_res_height() *
                                                  from.low_res_width());
    check_capacity(logits, capacity, count, "logits, in floats");
    std::copy_n(from.low_res_logits(), count, logits);
  });
}

medsam_status medsam_prediction_read_iou(const medsam_prediction* prediction, float* iou, size_t capacity) {
  return call([&] {
    const auto held = target(prediction);
    const Prediction& from = *held;
    const auto count = static_cast<std::size_t>(from.size() * from.masks_per_prompt());
    check_capacity(iou, capacity, count, "iou, in floats");
    std::copy_n(from.iou_predictions(), count, iou);
  });
}
