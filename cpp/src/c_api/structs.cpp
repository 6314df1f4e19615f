// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "c_api/structs.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>

namespace medsam::c_api {

namespace {

PixelType pixel_type(std::int32_t type) {
  switch (type) {
    case MEDSAM_PIXEL_U8:
      return PixelType::u8;
    case MEDSAM_PIXEL_U16:
      return PixelType::u16;
    case MEDSAM_PIXEL_I16:
      return PixelType::i16;
    case MEDSAM_PIXEL_F32:
      return PixelType::f32;
    default:
      break;
  }
  throw InvalidArgument("pixel_type: got " + std::to_string(type) + ", expected one of MEDSAM_PIXEL_*");
}

LabelType label_type(std::int32_t type) {
  switch (type) {
    case MEDSAM_LABEL_U8:
      return LabelType::u8;
    case MEDSAM_LABEL_U16:
      return LabelType::u16;
    case MEDSAM_LABEL_U32:
      return LabelType::u32;
    default:
      break;
  }
  throw InvalidArgument("label_type: got " + std::to_string(type) + ", expected one of MEDSAM_LABEL_*");
}

EmbeddingStorage embedding_storage(std::int32_t storage) {
  if (storage == MEDSAM_EMBEDDING_F32) return EmbeddingStorage::f32;
  if (storage == MEDSAM_EMBEDDING_F16) return EmbeddingStorage::f16;
  throw InvalidArgument("embedding_storage: got " + std::to_string(storage) + ", expected one of MEDSAM_EMBEDDING_*");
}

PropagateDirection propagate_direction(std::int32_t direction) {
  if (direction == MEDSAM_PROPAGATE_BOTH) return PropagateDirection::both;
  if (direction == MEDSAM_PROPAGATE_UP) return PropagateDirection::up;
  if (direction == MEDSAM_PROPAGATE_DOWN) return PropagateDirection::down;
  throw InvalidArgument("direction: got " + std::to_string(direction) + ", expected one of MEDSAM_PROPAGATE_*");
}

VolumePlanes volume_planes(std::int32_t planes) {
  if (planes == MEDSAM_PLANES_SLICES) return VolumePlanes::slices;
  if (planes == MEDSAM_PLANES_THREE) return VolumePlanes::three;
  throw InvalidArgument("planes: got " + std::to_string(planes) + ", expected one of MEDSAM_PLANES_*");
}

// A field that may get a meaning must be 0 until then, or an old caller's garbage would get it.
void check_reserved(std::int32_t value, const char* what) {
  if (value != 0) throw InvalidArgument(std::string(what) + ".reserved: got " + std::to_string(value) + ", expected 0");
}

void assign(std::string& out, const char* text) {
  if (text != nullptr) out = text;
}

std::function<bool()> cancelled(medsam_cancelled_callback callback, void* context) {
  if (callback == nullptr) return nullptr;
  return [callback, context] { return callback(context) != 0; };
}

std::function<void(const VolumeProgress&)> progress(medsam_progress_callback callback, void* context) {
  if (callback == nullptr) return nullptr;
  return [callback, context](const VolumeProgress& p) { callback(context, p.done, p.total); };
}

std::function<bool(std::int64_t, const LabelView&)> reached(medsam_reached_callback callback, void* context) {
  if (callback == nullptr) return nullptr;
  return [callback, context](std::int64_t index, const LabelView& mask) {
    const medsam_labels labels = {mask.data, MEDSAM_LABEL_U8, 0, mask.height, mask.width, mask.row_stride};
    return callback(context, index, &labels) != 0;
  };
}

/// -1 stands for none, as the headers say; other values are checked where they are used.
template <class T>
std::optional<T> unless_minus_one(T value) {
  if (value == -1) return std::nullopt;
  return value;
}

template <class T>
T sized() {
  T value{};
  value.size = sizeof(T);
  return value;
}

}  // namespace

medsam_engine_options default_engine_options() {
  static const EngineOptions kDefaults;  // the strings live as long as the library
  auto options = sized<medsam_engine_options>();
  options.device = kDefaults.device.c_str();
  options.precision = kDefaults.precision.c_str();
  options.profile = kDefaults.profile.c_str();
  options.cache_dir = kDefaults.cache_dir.c_str();
  options.embedding_store = kDefaults.embedding_store.c_str();
  options.modality = kDefaults.modality.c_str();
  options.cache_bytes = kDefaults.cache_bytes;
  options.embedding_store_bytes = kDefaults.embedding_store_bytes;
  options.expert_limit = kDefaults.expert_limit;
  options.threads = kDefaults.threads;
  options.embedding_storage = static_cast<std::int32_t>(kDefaults.embedding_storage);
  options.allow_uncertified = kDefaults.allow_uncertified ? 1 : 0;
  options.verify = kDefaults.verify ? 1 : 0;
  options.trust_bundle_certificates = kDefaults.trust_bundle_certificates ? 1 : 0;
  return options;
}

medsam_session_options default_session_options() {
  const SessionOptions defaults;
  auto options = sized<medsam_session_options>();
  options.modality = "";
  options.spacing_x = defaults.spacing_x;
  options.spacing_y = defaults.spacing_y;
  options.spacing_z = defaults.spacing_z;
  options.embedding_bytes = defaults.embedding_bytes;
  options.undo_bytes = defaults.undo_bytes;
  options.encode_ahead = defaults.encode_ahead ? 1 : 0;
  return options;
}

medsam_propagate_options default_propagate_options() {
  auto options = sized<medsam_propagate_options>();
  options.first = -1;
  options.last = -1;
  options.distance = -1;
  options.seconds = -1;
  return options;
}

ImageView to_view(const medsam_image* image) {
  const medsam_image& in = required(image, "image");
  return {in.data, pixel_type(in.pixel_type), in.height, in.width, in.channels, in.row_stride};
}

LabelView to_view(const medsam_labels* labels) {
  const medsam_labels& in = required(labels, "labels");
  check_reserved(in.reserved, "labels");
  return {in.data, label_type(in.label_type), in.height, in.width, in.row_stride};
}

VolumeView to_view(const medsam_volume* volume) {
  const medsam_volume& in = required(volume, "volume");
  return {in.data,        pixel_type(in.pixel_type), in.depth, in.height, in.width, in.channels, in.row_stride,
          in.slice_stride};
}

LabelVolumeView to_view(const medsam_label_volume* labels) {
  const medsam_label_volume& in = required(labels, "labels");
  check_reserved(in.reserved, "labels");
  return {in.data, label_type(in.label_type), in.depth, in.height, in.width, in.row_stride, in.slice_stride};
}

EngineOptions to_options(const medsam_engine_options* options) {
  const medsam_engine_options in = load(options, default_engine_options(), "engine options");
  EngineOptions out;
  assign(out.device, in.device);
  assign(out.precision, in.precision);
  assign(out.profile, in.profile);
  assign(out.cache_dir, in.cache_dir);
  assign(out.embedding_store, in.embedding_store);
  assign(out.modality, in.modality);
  out.cache_bytes = in.cache_bytes;
  out.embedding_store_bytes = in.embedding_store_bytes;
  out.expert_limit =
      static_cast<std::size_t>(std::min<std::uint64_t>(in.expert_limit, std::numeric_limits<std::size_t>::max()));
  out.threads = in.threads;
  out.embedding_storage = embedding_storage(in.embedding_storage);
  out.allow_uncertified = checked_flag(in.allow_uncertified, "allow_uncertified");
  out.verify = checked_flag(in.verify, "verify");
  out.trust_bundle_certificates = checked_flag(in.trust_bundle_certificates, "trust_bundle_certificates");
  check_reserved(in.reserved, "engine options");
  if (in.log != nullptr) {
    out.log = [log = in.log, context = in.log_context](LogLevel level, const std::string& message) {
      log(context, level == LogLevel::info ? MEDSAM_LOG_INFO : MEDSAM_LOG_WARNING, message.c_str());
    };
  }
  return out;
}

EncodeOptions to_options(const medsam_encode_options* options) {
  const auto in = load(options, sized<medsam_encode_options>(), "encode options");
  EncodeOptions out;
  assign(out.modality, in.modality);
  return out;
}

PredictOptions to_options(const medsam_predict_options* options) {
  const auto in = load(options, sized<medsam_predict_options>(), "predict options");
  check_reserved(in.reserved, "predict options");
  check_reserved(in.reserved2, "predict options");
  PredictOptions out;
  out.multimask_output = checked_flag(in.multimask_output, "multimask_output");
  out.allow_untrained = checked_flag(in.allow_untrained, "allow_untrained");
  out.cancelled = cancelled(in.cancelled, in.cancelled_context);
  return out;
}

SegmentOptions to_options(const medsam_segment_options* options) {
  const auto in = load(options, sized<medsam_segment_options>(), "segment options");
  SegmentOptions out;
  assign(out.modality, in.modality);
  out.cancelled = cancelled(in.cancelled, in.cancelled_context);
  return out;
}

VolumeOptions to_options(const medsam_volume_options* options) {
  const auto in = load(options, sized<medsam_volume_options>(), "volume options");
  check_reserved(in.reserved, "volume options");
  VolumeOptions out;
  assign(out.profile, in.profile);
  assign(out.modality, in.modality);
  out.progress = progress(in.progress, in.progress_context);
  out.cancelled = cancelled(in.cancelled, in.cancelled_context);
  out.planes = volume_planes(in.planes);
  out.spacing_x = in.spacing_x;
  out.spacing_y = in.spacing_y;
  out.spacing_z = in.spacing_z;
  return out;
}

SessionOptions to_options(const medsam_session_options* options) {
  const medsam_session_options in = load(options, default_session_options(), "session options");
  check_reserved(in.reserved, "session options");
  SessionOptions out;
  assign(out.modality, in.modality);
  out.spacing_x = in.spacing_x;
  out.spacing_y = in.spacing_y;
  out.spacing_z = in.spacing_z;
  out.embedding_bytes = in.embedding_bytes;
  out.undo_bytes = in.undo_bytes;
  out.encode_ahead = checked_flag(in.encode_ahead, "encode_ahead");
  return out;
}

PropagateOptions to_options(const medsam_propagate_options* options) {
  const medsam_propagate_options in = load(options, default_propagate_options(), "propagate options");
  PropagateOptions out;
  out.axis = in.axis;
  out.direction = propagate_direction(in.direction);
  out.first = unless_minus_one(in.first);
  out.last = unless_minus_one(in.last);
  out.distance = unless_minus_one(in.distance);
  out.seconds = unless_minus_one(in.seconds);
  out.progress = progress(in.progress, in.progress_context);
  out.cancelled = cancelled(in.cancelled, in.cancelled_context);
  out.reached = reached(in.reached, in.reached_context);
  return out;
}

Plane to_plane(const medsam_plane* plane) {
  if (plane == nullptr) return {};
  check_reserved(plane->reserved, "plane");
  return {plane->axis, plane->index};
}

float* iou_of(const medsam_segment_options* options) {
  return load(options, sized<medsam_segment_options>(), "segment options").iou;
}

float* iou_of(const medsam_volume_options* options) {
  return load(options, sized<medsam_volume_options>(), "volume options").iou;
}

std::vector<Box> to_boxes(const medsam_box* boxes, std::int64_t count) {
  std::vector<Box> out(checked_count(count, boxes, "boxes"));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = {boxes[i].x0, boxes[i].y0, boxes[i].x1, boxes[i].y1};
  return out;
}

std::vector<Box3D> to_boxes(const medsam_box_3d* boxes, std::int64_t count) {
  std::vector<Box3D> out(checked_count(count, boxes, "boxes"));
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = {boxes[i].x0, boxes[i].y0, boxes[i].z0, boxes[i].x1, boxes[i].y1, boxes[i].z1};
  }
  return out;
}

std::vector<Prompt> to_prompts(const medsam_prompt* prompts, std::int64_t count,
                               const std::vector<std::int64_t>& mask_shape) {
  std::vector<Prompt> out(checked_count(count, prompts, "prompts"));
  const char* next = reinterpret_cast<const char*>(prompts);
  for (std::size_t i = 0; i < out.size(); ++i) {
    // All of the first one's size: an array of an older header's structs has its stride.
    const std::string name = "prompt " + std::to_string(i);
    const auto* at = reinterpret_cast<const medsam_prompt*>(next);
    const medsam_prompt in = load(at, sized<medsam_prompt>(), name.c_str());
    if (at->size != prompts->size)
      throw InvalidArgument(name + ": got another size than prompt 0's, expected one size");
    next += in.size;

    if (in.box != nullptr) out[i].box = Box{in.box->x0, in.box->y0, in.box->x1, in.box->y1};
    out[i].points.resize(checked_count(in.point_count, in.points, (name + ", points").c_str()));
    for (std::size_t k = 0; k < out[i].points.size(); ++k) {
      check_reserved(in.points[k].reserved, "point");
      out[i].points[k] = {in.points[k].x, in.points[k].y, in.points[k].label};
    }
    if (in.mask_input != nullptr || in.mask_input_count != 0) {
      checked_count(in.mask_input_count, in.mask_input, (name + ", mask_input").c_str());
      const std::int64_t needed = mask_shape.at(0) * mask_shape.at(1);
      if (in.mask_input_count != needed) {
        throw InvalidArgument(name + ", mask_input: got " + std::to_string(in.mask_input_count) + " floats, expected " +
                              std::to_string(needed) + ", those of the engine's mask_shape");
      }
      out[i].mask_input = in.mask_input;
    }
    if (in.scribble != nullptr) {
      out[i].scribble = ScribbleView{in.scribble, in.scribble_height, in.scribble_width, in.scribble_row_stride};
    }
  }
  return out;
}

medsam_cache_stats to_stats(const CacheStats& stats) {
  return {sizeof(medsam_cache_stats),
          stats.hits,
          stats.misses,
          stats.store_hits,
          stats.evictions,
          stats.entries,
          stats.bytes,
          stats.budget};
}

medsam_mask_stats to_stats(const MaskStats& stats) { return {stats.area, stats.x0, stats.y0, stats.x1, stats.y1}; }

medsam_volume_stats to_stats(const VolumeStats& stats) {
  return {stats.voxels, stats.x0, stats.y0, stats.z0, stats.x1, stats.y1, stats.z1};
}

}  // namespace medsam::c_api
