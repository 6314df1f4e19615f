// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// medsam/medsam.h: engines, embeddings, and what the two segment in one go.
#include <algorithm>

#include "c_api/call.hpp"
#include "c_api/handles.hpp"
#include "c_api/structs.hpp"
#include "medsam/medsam.h"

using namespace medsam;
using namespace medsam::c_api;

namespace {

// Sets the caller's handle to NULL before anything can fail.
template <class Handle>
Handle*& cleared(Handle** out, const char* what) {
  required(out, what) = nullptr;
  return *out;
}

template <class Stats, class CStats>
void store_stats(const std::vector<Stats>& stats, CStats* out, float* iou) {
  if (out != nullptr) std::transform(stats.begin(), stats.end(), out, [](const Stats& s) { return to_stats(s); });
  if (iou != nullptr) std::transform(stats.begin(), stats.end(), iou, [](const Stats& s) { return s.iou; });
}

}  // namespace

const char* medsam_version() { return version(); }

const char* medsam_status_name(medsam_status status) {
  switch (status) {
    case MEDSAM_OK:
      return "MEDSAM_OK";
    case MEDSAM_INVALID_ARGUMENT:
      return "MEDSAM_INVALID_ARGUMENT";
    case MEDSAM_MODEL_ERROR:
      return "MEDSAM_MODEL_ERROR";
    case MEDSAM_BACKEND_ERROR:
      return "MEDSAM_BACKEND_ERROR";
    case MEDSAM_OUT_OF_MEMORY:
      return "MEDSAM_OUT_OF_MEMORY";
    case MEDSAM_UNSUPPORTED:
      return "MEDSAM_UNSUPPORTED";
    case MEDSAM_CANCELLED:
      return "MEDSAM_CANCELLED";
    default:
      return "unknown status";
  }
}

const char* medsam_last_error() { return last_error(); }

medsam_status medsam_engine_options_init(medsam_engine_options* options, size_t size) {
  return call([&] { store(options, size, default_engine_options(), "engine options"); });
}

medsam_status medsam_engine_info_init(medsam_engine_info* info, size_t size) {
  return call([&] { store(info, size, {}, "engine info"); });
}

medsam_status medsam_cache_stats_init(medsam_cache_stats* stats, size_t size) {
  return call([&] { store(stats, size, {}, "cache stats"); });
}

medsam_status medsam_embedding_info_init(medsam_embedding_info* info, size_t size) {
  return call([&] { store(info, size, {}, "embedding info"); });
}

medsam_status medsam_encode_options_init(medsam_encode_options* options, size_t size) {
  return call([&] { store(options, size, {}, "encode options"); });
}

medsam_status medsam_segment_options_init(medsam_segment_options* options, size_t size) {
  return call([&] { store(options, size, {}, "segment options"); });
}

medsam_status medsam_volume_options_init(medsam_volume_options* options, size_t size) {
  return call([&] { store(options, size, {}, "volume options"); });
}

medsam_status medsam_engine_create(const char* bundle, const medsam_engine_options* options, medsam_engine** engine) {
  return call([&] {
    medsam_engine*& out = cleared(engine, "engine");
    required(bundle, "bundle");
    out = make_handle<medsam_engine>(std::make_shared<const LoadedEngine>(bundle, to_options(options)));
  });
}

void medsam_engine_destroy(medsam_engine* engine) { destroy(engine); }

medsam_status medsam_engine_get_info(const medsam_engine* engine, medsam_engine_info* info) {
  return call([&] {
    const auto held = target(engine);
    const EngineInfo& from = held->engine.info();
    medsam_engine_info out{};
    out.family = from.family.c_str();
    out.profile = from.profile.c_str();
    out.device = from.device.c_str();
    out.precision = from.precision.c_str();
    out.encoder_precision = from.encoder_precision.c_str();
    out.decoder_precision = from.decoder_precision.c_str();
    out.backend = from.backend.c_str();
    out.encoder_backend = from.encoder_backend.c_str();
    out.model_hash = from.model_hash.c_str();
    out.fingerprint = from.fingerprint.c_str();
    out.certified = held->certified.data();
    out.modalities = held->modalities.data();
    out.experts = held->experts.data();
    out.certified_count = held->certified.size();
    out.certificates = held->certificates.data();
    out.certificate_origins = held->certificate_origins.data();
    out.certificate_count = held->certificates.size();
    out.trained_prompts = held->trained_prompts.data();
    out.trained_prompt_count = held->trained_prompts.size();
    out.trained_prompts_stated = from.trained_prompts_stated ? 1 : 0;
    out.modality_count = held->modalities.size();
    out.expert_count = held->experts.size();
    out.embedding_shape = from.embedding_shape.data();
    out.mask_shape = from.mask_shape.data();
    out.input_size = from.input_size;
    out.threads = from.threads;
    out.tuned = from.tuned ? 1 : 0;
    out.accepts_points = from.accepts_points ? 1 : 0;
    out.accepts_mask = from.accepts_mask ? 1 : 0;
    out.accepts_scribble = from.accepts_scribble ? 1 : 0;
    out.needs_modality = from.needs_modality ? 1 : 0;
    out.decoder_backend = from.decoder_backend.c_str();
    store(info, required(info, "info").size, out, "engine info");
  });
}

medsam_status medsam_engine_get_cache_stats(const medsam_engine* engine, medsam_cache_stats* stats) {
  return call([&] {
    const CacheStats from = target(engine)->engine.cache_stats();
    store(stats, required(stats, "stats").size, to_stats(from), "cache stats");
  });
}

medsam_status medsam_engine_clear_cache(const medsam_engine* engine) {
  return call([&] { target(engine)->engine.clear_cache(); });
}

medsam_status medsam_encode(const medsam_engine* engine, const medsam_image* image,
                            const medsam_encode_options* options, medsam_embedding** embedding) {
  return call([&] {
    medsam_embedding*& out = cleared(embedding, "embedding");
    ImageEmbedding made = target(engine)->engine.encode(to_view(image), to_options(options));
    out = make_handle<medsam_embedding>(std::make_shared<const ImageEmbedding>(std::move(made)));
  });
}

void medsam_embedding_destroy(medsam_embedding* embedding) { destroy(embedding); }

medsam_status medsam_embedding_get_info(const medsam_embedding* embedding, medsam_embedding_info* info) {
  return call([&] {
    const auto held = target(embedding);
    const ImageEmbedding& from = *held;
    const std::vector<std::int64_t> shape = from.shape();
    if (shape.size() != 4) throw ModelError("embedding: got " + std::to_string(shape.size()) + " axes, expected 4");
    medsam_embedding_info out{};
    out.data = from.data();
    out.fingerprint = from.fingerprint().c_str();
    out.bytes = from.bytes();
    out.height = from.height();
    out.width = from.width();
    std::copy(shape.begin(), shape.end(), out.shape);
    store(info, required(info, "info").size, out, "embedding info");
  });
}

medsam_status medsam_embedding_serialize(const medsam_embedding* embedding, void* buffer, size_t capacity,
                                         size_t* needed) {
  return call([&] {
    required(needed, "needed") = 0;
    const std::string bytes = target(embedding)->serialize();
    *needed = bytes.size();
    if (buffer == nullptr && capacity == 0) return;
    check_capacity(buffer, capacity, bytes.size(), "buffer, in bytes");
    std::copy(bytes.begin(), bytes.end(), static_cast<char*>(buffer));
  });
}

medsam_status medsam_embedding_deserialize(const void* data, size_t size, medsam_embedding** embedding) {
  return call([&] {
    medsam_embedding*& out = cleared(embedding, "embedding");
    required(static_cast<const char*>(data), "data");
    out =
        make_handle<medsam_embedding>(std::make_shared<const ImageEmbedding>(ImageEmbedding::deserialize(data, size)));
  });
}

medsam_status medsam_segment(const medsam_engine* engine, const medsam_image* image, const medsam_box* boxes,
                             int64_t count, const medsam_labels* labels, const medsam_segment_options* options,
                             medsam_mask_stats* stats) {
  return call([&] {
    store_stats(
        target(engine)->engine.segment(to_view(image), to_boxes(boxes, count), to_view(labels), to_options(options)),
        stats, iou_of(options));
  });
}

medsam_status medsam_segment_embedding(const medsam_engine* engine, const medsam_embedding* embedding,
                                       const medsam_box* boxes, int64_t count, const medsam_labels* labels,
                                       const medsam_segment_options* options, medsam_mask_stats* stats) {
  return call([&] {
    const auto with = target(engine);
    const auto from = target(embedding);
    store_stats(with->engine.segment(*from, to_boxes(boxes, count), to_view(labels), to_options(options)), stats,
                iou_of(options));
  });
}

medsam_status medsam_segment_volume(const medsam_engine* engine, const medsam_volume* volume,
                                    const medsam_box_3d* boxes, int64_t count, const medsam_label_volume* labels,
                                    const medsam_volume_options* options, medsam_volume_stats* stats) {
  return call([&] {
    store_stats(target(engine)->engine.segment_volume(to_view(volume), to_boxes(boxes, count), to_view(labels),
                                                      to_options(options)),
                stats, iou_of(options));
  });
}
