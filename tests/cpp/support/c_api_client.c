// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Compiled as C11 with -Wall -Wextra -Wpedantic -Werror, so the header must be plain C.
#include "c_api_client.h"

#include <medsam/medsam.h>
#include <stddef.h>
#include <string.h>

// The layout is ABI: where these fail, an installed application would misread memory. A struct with a `size` may grow
// at its end (its number changes here and its first size is kept, cpp/src/c_api/structs.hpp), the others never.
#if UINTPTR_MAX == UINT64_MAX
#define SIZE_IS(type, bytes) _Static_assert(sizeof(type) == (bytes), #type " changed its size")
#define AT(type, field, bytes) _Static_assert(offsetof(type, field) == (bytes), #type "." #field " moved")
SIZE_IS(medsam_image, 40);
SIZE_IS(medsam_labels, 40);
SIZE_IS(medsam_volume, 56);
SIZE_IS(medsam_label_volume, 56);
SIZE_IS(medsam_point, 24);
SIZE_IS(medsam_box, 32);
SIZE_IS(medsam_box_3d, 48);
SIZE_IS(medsam_mask_stats, 40);
SIZE_IS(medsam_volume_stats, 56);
SIZE_IS(medsam_engine_options, 120);
SIZE_IS(medsam_engine_info, 240);
SIZE_IS(medsam_cache_stats, 64);
SIZE_IS(medsam_embedding_info, 80);
SIZE_IS(medsam_prediction_info, 56);
SIZE_IS(medsam_encode_options, 16);
SIZE_IS(medsam_prompt, 80);
SIZE_IS(medsam_predict_options, 40);
SIZE_IS(medsam_segment_options, 40);
SIZE_IS(medsam_volume_options, 96);
SIZE_IS(medsam_voxel_box, 48);
SIZE_IS(medsam_plane, 16);
SIZE_IS(medsam_plane_point, 16);
SIZE_IS(medsam_session_options, 64);
SIZE_IS(medsam_propagate_options, 96);
SIZE_IS(medsam_session_object, 592);
SIZE_IS(medsam_encoding_progress, 32);
AT(medsam_image, row_stride, 32);
AT(medsam_labels, width, 24);
AT(medsam_volume, slice_stride, 48);
AT(medsam_label_volume, depth, 16);
AT(medsam_point, label, 16);
AT(medsam_engine_options, cache_bytes, 56);
AT(medsam_engine_options, threads, 80);
AT(medsam_engine_options, log_context, 104);
AT(medsam_engine_options, trust_bundle_certificates, 112);
AT(medsam_engine_info, mask_shape, 144);
AT(medsam_engine_info, needs_modality, 176);
AT(medsam_engine_info, certificate_count, 200);
AT(medsam_engine_info, trained_prompts, 208);
AT(medsam_engine_info, trained_prompts_stated, 224);
AT(medsam_engine_info, decoder_backend, 232);
AT(medsam_embedding_info, shape, 48);
AT(medsam_prompt, mask_input, 32);
AT(medsam_prompt, scribble_row_stride, 72);
AT(medsam_predict_options, cancelled, 16);
AT(medsam_predict_options, allow_untrained, 32);
AT(medsam_segment_options, iou, 32);
AT(medsam_volume_options, cancelled_context, 48);
AT(medsam_volume_options, iou, 56);
AT(medsam_session_options, undo_bytes, 48);
AT(medsam_session_options, encode_ahead, 56);
AT(medsam_propagate_options, first, 16);
AT(medsam_propagate_options, cancelled_context, 72);
AT(medsam_propagate_options, reached_context, 88);
AT(medsam_session_object, box, 24);
AT(medsam_session_object, name, 80);
#endif

enum { kHeight = 48, kWidth = 64 };

struct client {
  medsam_engine* engine;
  medsam_embedding* embedding;
  medsam_prediction* prediction;
};

static medsam_status open_engine(struct client* client, const char* bundle, const char* cache_dir) {
  medsam_engine_options options;
  medsam_status status = medsam_engine_options_init(&options, sizeof options);
  if (status != MEDSAM_OK) return status;
  options.cache_dir = cache_dir;
  options.profile = "";
  return medsam_engine_create(bundle, &options, &client->engine);
}

static medsam_status ask(struct client* client, const uint8_t* pixels, const medsam_box* box) {
  const medsam_image image = {pixels, MEDSAM_PIXEL_U8, 1, kHeight, kWidth, kWidth};
  medsam_status status = medsam_encode(client->engine, &image, NULL, &client->embedding);
  if (status != MEDSAM_OK) return status;
  medsam_prompt prompt;
  status = medsam_prompt_init(&prompt, sizeof prompt);
  if (status != MEDSAM_OK) return status;
  prompt.box = box;
  return medsam_predict(client->engine, client->embedding, &prompt, 1, NULL, &client->prediction);
}

const char* c_client_segments(const char* bundle, const char* cache_dir, int64_t* area) {
  static uint8_t pixels[kHeight * kWidth], mask[kHeight * kWidth];
  static uint16_t labels[kHeight * kWidth];
  for (int y = 0; y < kHeight; ++y)
    for (int x = 0; x < kWidth; ++x) pixels[y * kWidth + x] = x >= 16 && x < 48 && y >= 8 && y < 40 ? 200 : 40;
  const medsam_box box = {16, 8, 47, 39};
  const medsam_labels view = {labels, MEDSAM_LABEL_U16, 0, kHeight, kWidth, kWidth * (int64_t)sizeof labels[0]};
  struct client client = {NULL, NULL, NULL};
  medsam_mask_stats read = {0, 0, 0, 0, 0}, segmented = {0, 0, 0, 0, 0};
  const char* fault = NULL;
  if (open_engine(&client, bundle, cache_dir) != MEDSAM_OK || ask(&client, pixels, &box) != MEDSAM_OK ||
      medsam_prediction_read_mask(client.prediction, 0, 0, mask, sizeof mask, &read) != MEDSAM_OK ||
      medsam_segment_embedding(client.engine, client.embedding, &box, 1, &view, NULL, &segmented) != MEDSAM_OK) {
    fault = medsam_last_error();
  } else if (memcmp(&read, &segmented, sizeof read) != 0) {
    fault = "the mask and the label map differ";
  }
  medsam_prediction_destroy(client.prediction);
  medsam_embedding_destroy(client.embedding);
  medsam_engine_destroy(client.engine);
  *area = read.area;
  return fault;
}
