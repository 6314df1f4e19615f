// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The C API's structs as the C++ API's, their tags, flags and sizes checked; values are checked where the engine does.
#pragma once

#include <cstddef>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "c_api/call.hpp"
#include "medsam/engine.hpp"
#include "medsam/medsam_session.h"
#include "medsam/medsam_types.h"
#include "medsam/session.hpp"

namespace medsam::c_api {

/// Bytes of the struct in the first version that had it. A struct that gains fields keeps the number here, by a
/// specialization, so that callers with an older header go on being understood.
template <class T>
inline constexpr std::size_t kFirstSize = sizeof(T);
template <>
inline constexpr std::size_t kFirstSize<medsam_engine_options> = offsetof(medsam_engine_options,
                                                                          trust_bundle_certificates);
template <>
inline constexpr std::size_t kFirstSize<medsam_engine_info> = offsetof(medsam_engine_info, certificates);
template <>
inline constexpr std::size_t kFirstSize<medsam_predict_options> = offsetof(medsam_predict_options, allow_untrained);
template <>
inline constexpr std::size_t kFirstSize<medsam_segment_options> = offsetof(medsam_segment_options, iou);
template <>
inline constexpr std::size_t kFirstSize<medsam_volume_options> = offsetof(medsam_volume_options, iou);

/// InvalidArgument unless a version of the struct can have `size`. One that is larger than this library's is refused:
/// it may hold a wish that would go unheard.
template <class T>
void check_size(std::size_t size, const char* what) {
  if (size < kFirstSize<T> || size > sizeof(T) || size % alignof(T) != 0) {
    throw InvalidArgument(std::string(what) + ": got a struct of size " + std::to_string(size) + ", expected " +
                          std::to_string(sizeof(T)) +
                          "; fill it with its _init function and link the header's library");
  }
}

/// Writes as much of `value` as the caller's struct of `size` bytes has.
template <class T>
void store(T* out, std::size_t size, T value, const char* what) {
  required(out, what);
  check_size<T>(size, what);
  value.size = size;
  std::memcpy(out, &value, size);
}

/// The caller's struct; what a shorter one lacks is as in `defaults`. NULL gives `defaults`.
template <class T>
T load(const T* in, T defaults, const char* what) {
  if (in == nullptr) return defaults;
  check_size<T>(in->size, what);
  std::memcpy(&defaults, in, in->size);
  return defaults;
}

medsam_engine_options default_engine_options();
medsam_session_options default_session_options();
medsam_propagate_options default_propagate_options();

ImageView to_view(const medsam_image* image);
LabelView to_view(const medsam_labels* labels);
VolumeView to_view(const medsam_volume* volume);
LabelVolumeView to_view(const medsam_label_volume* labels);

EngineOptions to_options(const medsam_engine_options* options);
EncodeOptions to_options(const medsam_encode_options* options);
PredictOptions to_options(const medsam_predict_options* options);
SegmentOptions to_options(const medsam_segment_options* options);
VolumeOptions to_options(const medsam_volume_options* options);
SessionOptions to_options(const medsam_session_options* options);
PropagateOptions to_options(const medsam_propagate_options* options);

/// NULL gives plane 0 of axis 0.
Plane to_plane(const medsam_plane* plane);

/// Where the caller wants the objects' estimates; NULL = nowhere, which is all that an older header can say.
float* iou_of(const medsam_segment_options* options);
float* iou_of(const medsam_volume_options* options);

std::vector<Box> to_boxes(const medsam_box* boxes, std::int64_t count);
std::vector<Box3D> to_boxes(const medsam_box_3d* boxes, std::int64_t count);

/// `mask_shape` is the engine's (h, w), which an earlier mask must have.
std::vector<Prompt> to_prompts(const medsam_prompt* prompts, std::int64_t count,
                               const std::vector<std::int64_t>& mask_shape);

medsam_cache_stats to_stats(const CacheStats& stats);
medsam_mask_stats to_stats(const MaskStats& stats);
medsam_volume_stats to_stats(const VolumeStats& stats);

}  // namespace medsam::c_api
