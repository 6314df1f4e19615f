// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Sessions. What changes one writes the box of the changed voxels to `changed`: x0, y0, z0, x1, y1, z1, inclusive.
#include <nlohmann/json.hpp>
#include <string>

#include "medsam/medsam.h"
#include "wasm/exports.hpp"

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

MEDSAM_WASM medsam_status medsam_wasm_session_propagate(medsam_session* session, const char* object, int axis,
                                                        double* changed) {
  medsam_propagate_options options;
  medsam_propagate_options_init(&options, sizeof options);
  options.axis = axis;
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

/// The objects in the order in which they were made, as JSON; null after a failure.
MEDSAM_WASM const char* medsam_wasm_session_objects(const medsam_session* session) {
  std::int64_t count = 0;
  if (medsam_session_get_object_count(session, &count) != MEDSAM_OK) return nullptr;
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
  text = list.dump();
  return text.c_str();
}
