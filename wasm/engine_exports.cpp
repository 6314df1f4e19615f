// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Engines, embeddings and predictions. Every function returns a medsam_status; numbers that may be large are doubles.
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cpp/src/c_api/call.hpp"  // a window is none of the C API's calls, and fails as these do
#include "medsam/medsam.h"
#include "medsam/window.hpp"
#include "wasm/exports.hpp"

namespace {

medsam_image image_of(const void* data, int pixel_type, int channels, int height, int width) {
  constexpr int kBytes[] = {1, 2, 2, 4};
  const bool known = pixel_type >= MEDSAM_PIXEL_U8 && pixel_type <= MEDSAM_PIXEL_F32;
  const std::int64_t sample = known ? kBytes[pixel_type] : 1;
  return {data, pixel_type, channels, height, width, sample * width * channels};
}

// What get_text returned last, until the next one.
std::string text;

nlohmann::json ct_windows() {
  nlohmann::json windows = nlohmann::json::object();
  for (const medsam::CtPreset& preset : medsam::ct_presets()) {
    windows[preset.name] = {{"width", preset.width}, {"level", preset.level}};
  }
  return windows;
}

}  // namespace

/// The bundle in `folder`, on the caller's thread or `threads` of them.
MEDSAM_WASM medsam_status medsam_wasm_engine_create(const char* folder, const char* profile, const char* modality,
                                                    int threads, medsam_engine** engine) {
  medsam_engine_options options;
  medsam_engine_options_init(&options, sizeof options);
  options.profile = profile;
  options.modality = modality;
  options.cache_dir = "none";
  options.threads = threads;
  return medsam_engine_create(folder, &options, engine);
}

/// What the engine runs, as JSON; null after a failure.
MEDSAM_WASM const char* medsam_wasm_engine_info(const medsam_engine* engine) {
  medsam_engine_info info;
  medsam_engine_info_init(&info, sizeof info);
  if (medsam_engine_get_info(engine, &info) != MEDSAM_OK) return nullptr;
  const nlohmann::json json = {
      {"version", medsam_version()},
      {"family", info.family},
      {"profile", info.profile},
      {"precision", info.precision},
      {"encoderBackend", info.encoder_backend},
      {"decoderBackend", info.decoder_backend},
      {"modelHash", info.model_hash},
      {"fingerprint", info.fingerprint},
      {"inputSize", info.input_size},
      {"embeddingShape", std::vector<std::int64_t>(info.embedding_shape, info.embedding_shape + 4)},
      {"maskShape", std::vector<std::int64_t>(info.mask_shape, info.mask_shape + 2)},
      {"modalities", std::vector<std::string>(info.modalities, info.modalities + info.modality_count)},
      {"experts", std::vector<std::string>(info.experts, info.experts + info.expert_count)},
      {"needsModality", info.needs_modality == 1},
      {"ctWindows", ct_windows()},
  };
  text = json.dump();
  return text.c_str();
}

MEDSAM_WASM medsam_status medsam_wasm_encode(const medsam_engine* engine, const void* data, int pixel_type,
                                             int channels, int height, int width, const char* modality,
                                             medsam_embedding** embedding) {
  const medsam_image image = image_of(data, pixel_type, channels, height, width);
  medsam_encode_options options;
  medsam_encode_options_init(&options, sizeof options);
  options.modality = modality;
  return medsam_encode(engine, &image, &options, embedding);
}

/// `numbers` receives the address of the f32 data, the image's height and width, and the shape: 7 numbers.
MEDSAM_WASM medsam_status medsam_wasm_embedding_info(const medsam_embedding* embedding, double* numbers) {
  medsam_embedding_info info;
  medsam_embedding_info_init(&info, sizeof info);
  const medsam_status status = medsam_embedding_get_info(embedding, &info);
  if (status != MEDSAM_OK) return status;
  numbers[0] = static_cast<double>(reinterpret_cast<std::uintptr_t>(info.data));
  numbers[1] = static_cast<double>(info.height);
  numbers[2] = static_cast<double>(info.width);
  for (int i = 0; i < 4; ++i) numbers[3 + i] = static_cast<double>(info.shape[i]);
  return status;
}

/// `labels` (H, W) u16; `numbers` receives per box the area, x0, y0, x1, y1 and the estimate of the IoU.
MEDSAM_WASM medsam_status medsam_wasm_segment(const medsam_engine* engine, const medsam_embedding* embedding,
                                              const medsam_box* boxes, int count, std::uint16_t* labels, int height,
                                              int width, double* numbers) {
  const medsam_labels out = {labels, MEDSAM_LABEL_U16, 0, height, width, 2 * std::int64_t{width}};
  std::vector<float> iou(static_cast<std::size_t>(count));
  std::vector<medsam_mask_stats> stats(iou.size());
  medsam_segment_options options;
  medsam_segment_options_init(&options, sizeof options);
  options.iou = iou.data();
  const medsam_status status = medsam_segment_embedding(engine, embedding, boxes, count, &out, &options, stats.data());
  if (status != MEDSAM_OK) return status;
  for (std::size_t k = 0; k < iou.size(); ++k) {
    const medsam_mask_stats& of = stats[k];
    for (const std::int64_t number : {of.area, of.x0, of.y0, of.x1, of.y1}) *numbers++ = static_cast<double>(number);
    *numbers++ = iou[k];
  }
  return status;
}

/// One prompt: a box (or null), points as (x, y, label), and logits of an earlier prediction (or null).
MEDSAM_WASM medsam_status medsam_wasm_predict(const medsam_engine* engine, const medsam_embedding* embedding,
                                              const medsam_box* box, const double* points, int point_count,
                                              int multimask, medsam_prediction** prediction) {
  std::vector<medsam_point> clicks;
  for (int i = 0; i < point_count; ++i) {
    clicks.push_back({points[3 * i], points[3 * i + 1], static_cast<std::int32_t>(points[3 * i + 2]), 0});
  }
  medsam_prompt prompt;
  medsam_prompt_init(&prompt, sizeof prompt);
  prompt.box = box;
  prompt.points = clicks.data();
  prompt.point_count = point_count;
  medsam_predict_options options;
  medsam_predict_options_init(&options, sizeof options);
  options.multimask_output = multimask;
  return medsam_predict(engine, embedding, &prompt, 1, &options, prediction);
}

/// `numbers` receives prompts, masks per prompt, the logits' height and width, the image's height and width.
MEDSAM_WASM medsam_status medsam_wasm_prediction_info(const medsam_prediction* prediction, double* numbers) {
  medsam_prediction_info info;
  medsam_prediction_info_init(&info, sizeof info);
  const medsam_status status = medsam_prediction_get_info(prediction, &info);
  if (status != MEDSAM_OK) return status;
  for (const std::int64_t number :
       {info.prompts, info.masks_per_prompt, info.low_res_height, info.low_res_width, info.height, info.width}) {
    *numbers++ = static_cast<double>(number);
  }
  return status;
}

MEDSAM_WASM medsam_status medsam_wasm_prediction_mask(const medsam_prediction* prediction, int index,
                                                      std::uint8_t* mask, std::size_t capacity) {
  return medsam_prediction_read_mask(prediction, 0, index, mask, capacity, nullptr);
}

/// A volume as it looks through a window (medsam/window.hpp). `padding`: lowest and highest value of each slice, NaN
/// for none of it; null for none at all. `out` (D, H, W) u8 is written unless numbers[2], 1 where values stay as they
/// are; numbers[0] and [1] receive what becomes black and white.
MEDSAM_WASM medsam_status medsam_wasm_window(const void* data, int pixel_type, int channels, int depth, int height,
                                             int width, const char* window, const char* modality, int hounsfield,
                                             const double* padding, std::uint8_t* out, double* numbers) {
  return medsam::c_api::call([&] {
    const medsam_image slice = image_of(data, pixel_type, channels, height, width);
    const medsam::VolumeView volume = {data,
                                       static_cast<medsam::PixelType>(pixel_type),
                                       depth,
                                       height,
                                       width,
                                       channels,
                                       slice.row_stride,
                                       slice.row_stride * height};
    medsam::WindowOptions options;
    options.window = window;
    options.modality = modality;
    options.hounsfield = hounsfield == 1;
    options.color = channels == 3;
    for (int k = 0; padding != nullptr && k < depth; ++k) {
      const medsam::ValueInterval interval = {padding[2 * k], padding[2 * k + 1]};
      options.padding.push_back(std::isnan(interval.low) ? std::nullopt : std::optional(interval));
    }
    const medsam::IntensityWindow found = medsam::resolve_window(volume, options);
    numbers[0] = found.darkest;
    numbers[1] = found.brightest;
    numbers[2] = found.rule == medsam::IntensityWindow::Rule::unchanged ? 1 : 0;
    if (numbers[2] != 0) return;
    for (int k = 0; k < depth; ++k) {
      medsam::apply_window(found, volume, k, padding == nullptr ? std::nullopt : options.padding[k],
                           out + std::int64_t{k} * height * width, width);
    }
  });
}
