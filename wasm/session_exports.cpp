// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Sessions. What changes one writes the box of the changed voxels to `changed`: x0, y0, z0, x1, y1, z1, inclusive.
#include <emscripten.h>

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "medsam/medsam.h"
#include "wasm/exports.hpp"

// What session.js has put on the module for the propagation that is running. None of them throws: -1 says that a
// callback of the page has, of which session.js keeps what it threw.
EM_JS(int, medsam_wasm_tell_progress, (double done, double total),
      { return Module["propagation"].progress(done, total); });
EM_JS(int, medsam_wasm_ask_cancelled, (), { return Module["propagation"].cancelled(); });
EM_JS(int, medsam_wasm_tell_reached, (double index, const void* mask, double height, double width, double stride),
      { return Module["propagation"].reached(index, mask >>> 0, height, width, stride); });

namespace {

medsam_status told(medsam_status status, const medsam_voxel_box& box, double* changed) {
  if (status != MEDSAM_OK) return status;
  for (const std::int64_t number : {box.x0, box.y0, box.z0, box.x1, box.y1, box.z1}) {
    *changed++ = static_cast<double>(number);
  }
  return status;
}

medsam_plane plane_of(int axis, int index) { return {axis, 0, index}; }

medsam_label_volume labels_of(void* labels, int type, int depth, int height, int width) {
  const std::int64_t row = (type == MEDSAM_LABEL_U8 ? 1 : 2) * std::int64_t{width};
  return {labels, type, 0, depth, height, width, row, row * height};
}

// Of a callback: ends the call, with the session unchanged, where the page's own has thrown.
std::int32_t answered(int answer) {
  if (answer < 0) throw std::runtime_error("a callback of the page has thrown");
  return answer;
}

std::string text;

}  // namespace

/// A volume (D, H, W) without gaps, or an image, of depth 1; spacing in mm.
MEDSAM_WASM medsam_status medsam_wasm_session_create(const medsam_engine* engine, const void* data, int pixel_type,
                                                     int channels, int depth, int height, int width, double spacing_x,
                                                     double spacing_y, double spacing_z, const char* modality,
                                                     medsam_session** session) {
  constexpr int kBytes[] = {1, 2, 2, 4};
  const bool known = pixel_type >= MEDSAM_PIXEL_U8 && pixel_type <= MEDSAM_PIXEL_F32;
  const std::int64_t row = std::int64_t{known ? kBytes[pixel_type] : 1} * width * channels;
  const medsam_volume volume = {data, pixel_type, channels, depth, height, width, row, row * height};
  medsam_session_options options;
  medsam_session_options_init(&options, sizeof options);
  options.modality = modality;
  options.spacing_x = spacing_x;
  options.spacing_y = spacing_y;
  options.spacing_z = spacing_z;
  return medsam_session_create(engine, &volume, &options, session);
}

MEDSAM_WASM medsam_status medsam_wasm_session_add_box(medsam_session* session, const char* object,
                                                      const medsam_box* box, int axis, int index, double* changed) {
  const medsam_plane plane = plane_of(axis, index);
  medsam_voxel_box voxels{};
  return told(medsam_session_add_box(session, object, box, &plane, &voxels), voxels, changed);
}

MEDSAM_WASM medsam_status medsam_wasm_session_add_click(medsam_session* session, const char* object, double x, double y,
                                                        int positive, int axis, int index, double* changed) {
  const medsam_plane plane = plane_of(axis, index);
  const medsam_plane_point point = {x, y};
  medsam_voxel_box voxels{};
  return told(medsam_session_add_click(session, object, &point, positive, &plane, &voxels), voxels, changed);
}

/// `way`: 0 a scribble on the object, 1 one beside it, 2 a lasso. `points` are (x, y) pairs.
MEDSAM_WASM medsam_status medsam_wasm_session_add_path(medsam_session* session, const char* object, int way,
                                                       const medsam_plane_point* points, int count, int axis, int index,
                                                       double* changed) {
  const medsam_plane plane = plane_of(axis, index);
  medsam_voxel_box voxels{};
  const medsam_status status =
      way == 2 ? medsam_session_add_lasso(session, object, points, count, &plane, &voxels)
               : medsam_session_add_scribble(session, object, points, count, way == 0 ? 1 : 0, &plane, &voxels);
  return told(status, voxels, changed);
}

/// A mask (D, H, W) u8, nonzero where the object is.
MEDSAM_WASM medsam_status medsam_wasm_session_add_mask(medsam_session* session, const char* object, void* mask,
                                                       int depth, int height, int width, double* changed) {
  const medsam_label_volume labels = labels_of(mask, MEDSAM_LABEL_U8, depth, height, width);
  medsam_voxel_box voxels{};
  return told(medsam_session_add_mask(session, object, &labels, &voxels), voxels, changed);
}

/// `numbers`: first, last, distance and seconds, each -1 for none. Calls Module.propagation.
MEDSAM_WASM medsam_status medsam_wasm_session_propagate(medsam_session* session, const char* object, int axis,
                                                        int direction, const double* numbers, double* changed) {
  medsam_propagate_options options;
  medsam_propagate_options_init(&options, sizeof options);
  options.axis = axis;
  options.direction = direction;
  options.first = static_cast<std::int64_t>(numbers[0]);
  options.last = static_cast<std::int64_t>(numbers[1]);
  options.distance = numbers[2];
  options.seconds = numbers[3];
  options.progress = [](void*, std::int64_t done, std::int64_t total) {
    answered(medsam_wasm_tell_progress(static_cast<double>(done), static_cast<double>(total)));
  };
  options.cancelled = [](void*) -> std::int32_t { return answered(medsam_wasm_ask_cancelled()); };
  options.reached = [](void*, std::int64_t index, const medsam_labels* mask) -> std::int32_t {
    return answered(medsam_wasm_tell_reached(static_cast<double>(index), mask->data, static_cast<double>(mask->height),
                                             static_cast<double>(mask->width), static_cast<double>(mask->row_stride)));
  };
  medsam_voxel_box voxels{};
  return told(medsam_session_propagate(session, object, &options, &voxels), voxels, changed);
}

/// `step`: 0 undo, 1 redo, 2 reset.
MEDSAM_WASM medsam_status medsam_wasm_session_step(medsam_session* session, int step, double* changed) {
  medsam_voxel_box voxels{};
  const auto call = step == 0 ? medsam_session_undo : step == 1 ? medsam_session_redo : medsam_session_reset;
  return told(call(session, &voxels), voxels, changed);
}

MEDSAM_WASM medsam_status medsam_wasm_session_remove(medsam_session* session, const char* object, double* changed) {
  medsam_voxel_box voxels{};
  return told(medsam_session_remove(session, object, &voxels), voxels, changed);
}

MEDSAM_WASM medsam_status medsam_wasm_session_lock(medsam_session* session, const char* object, int locked) {
  return medsam_session_lock(session, object, locked);
}

/// What a positive click of a new object would find in a plane of `height` rows, u8; `answered` receives 0 or 1.
MEDSAM_WASM medsam_status medsam_wasm_session_preview_click(const medsam_session* session, double x, double y, int axis,
                                                            int index, void* labels, int height, int width,
                                                            std::int32_t* answered) {
  const medsam_plane plane = plane_of(axis, index);
  const medsam_plane_point point = {x, y};
  const medsam_labels out = {labels, MEDSAM_LABEL_U8, 0, height, width, width};
  return medsam_session_preview_click(session, &point, &plane, &out, answered);
}

/// Likewise, of the voxels of a box alone: x0, y0, z0, x1, y1, z1.
MEDSAM_WASM medsam_status medsam_wasm_session_mask_box(const medsam_session* session, const char* object,
                                                       const double* numbers, void* labels) {
  const auto at = [&](int k) { return static_cast<std::int64_t>(numbers[k]); };
  const medsam_voxel_box box = {at(0), at(1), at(2), at(3), at(4), at(5)};
  const auto size = [&](int k) { return static_cast<int>(at(k + 3) - at(k) + 1); };
  const medsam_label_volume out = labels_of(labels, MEDSAM_LABEL_U8, size(2), size(1), size(0));
  return medsam_session_read_mask_box(session, object, &box, &out, 1);
}

/// (D, H, W) u8: 1 where the object's mask is set.
MEDSAM_WASM medsam_status medsam_wasm_session_mask(const medsam_session* session, const char* object, void* labels,
                                                   int depth, int height, int width) {
  const medsam_label_volume out = labels_of(labels, MEDSAM_LABEL_U8, depth, height, width);
  return medsam_session_read_mask(session, object, &out, 1);
}

/// (D, H, W) u16: k + 1 where object k is.
MEDSAM_WASM medsam_status medsam_wasm_session_labels(const medsam_session* session, void* labels, int depth, int height,
                                                     int width) {
  const medsam_label_volume out = labels_of(labels, MEDSAM_LABEL_U16, depth, height, width);
  return medsam_session_read_labels(session, &out);
}

/// The objects in the order in which they were made, the steps of undo and redo and how far encoding is, as JSON; null
/// after a failure.
MEDSAM_WASM const char* medsam_wasm_session_standing(const medsam_session* session) {
  std::int64_t count = 0, undo = 0, redo = 0;
  medsam_encoding_progress encoding;
  medsam_encoding_progress_init(&encoding, sizeof encoding);
  if (medsam_session_get_object_count(session, &count) != MEDSAM_OK ||
      medsam_session_get_steps(session, &undo, &redo) != MEDSAM_OK ||
      medsam_session_get_encoding(session, &encoding) != MEDSAM_OK) {
    return nullptr;
  }
  nlohmann::json list = nlohmann::json::array();
  for (std::int64_t i = 0; i < count; ++i) {
    medsam_session_object object;
    medsam_session_object_init(&object, sizeof object);
    if (medsam_session_get_object(session, i, &object) != MEDSAM_OK) return nullptr;
    const medsam_voxel_box& box = object.box;
    list.push_back({{"name", object.name},
                    {"voxels", object.voxels},
                    {"prompts", object.prompts},
                    {"locked", object.locked == 1},
                    {"box", {box.x0, box.y0, box.z0, box.x1, box.y1, box.z1}}});
  }
  const nlohmann::json standing = {{"objects", list},
                                   {"steps", {{"undo", undo}, {"redo", redo}}},
                                   {"encoding", {{"encoded", encoding.encoded}, {"total", encoding.total}}}};
  text = standing.dump();
  return text.c_str();
}
