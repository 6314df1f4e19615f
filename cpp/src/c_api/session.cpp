// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// medsam/medsam_session.h.
#include "medsam/session.hpp"

#include <algorithm>
#include <cstring>

#include "c_api/call.hpp"
#include "c_api/handles.hpp"
#include "c_api/structs.hpp"
#include "medsam/medsam.h"

using namespace medsam;
using namespace medsam::c_api;

namespace {

medsam_voxel_box to_c(const VoxelBox& box) { return {box.x0, box.y0, box.z0, box.x1, box.y1, box.z1}; }

std::string name_of(const char* object) { return &required(object, "object"); }

/// Runs a call that changes a session and stores where it did.
template <class F>
medsam_status change(const medsam_session* session, medsam_voxel_box* changed, F&& f) noexcept {
  return call([&] {
    const auto held = target(session);
    const VoxelBox box = std::forward<F>(f)(*held->session);
    if (changed != nullptr) *changed = to_c(box);
  });
}

std::vector<PlanePoint> to_points(const medsam_plane_point* points, std::int64_t count) {
  std::vector<PlanePoint> out(checked_count(count, points, "points"));
  std::transform(points, points + out.size(), out.begin(), [](const medsam_plane_point& p) {
    return PlanePoint{p.x, p.y};
  });
  return out;
}

PlanePoint to_point(const medsam_plane_point* point, const char* what) {
  const medsam_plane_point& in = required(point, what);
  return {in.x, in.y};
}

}  // namespace

medsam_status medsam_session_options_init(medsam_session_options* options, size_t size) {
  return call([&] { store(options, size, default_session_options(), "session options"); });
}

medsam_status medsam_propagate_options_init(medsam_propagate_options* options, size_t size) {
  return call([&] { store(options, size, default_propagate_options(), "propagate options"); });
}

medsam_status medsam_session_object_init(medsam_session_object* object, size_t size) {
  return call([&] { store(object, size, {}, "session object"); });
}

medsam_status medsam_encoding_progress_init(medsam_encoding_progress* progress, size_t size) {
  return call([&] { store(progress, size, {}, "encoding progress"); });
}

medsam_status medsam_session_create(const medsam_engine* engine, const medsam_volume* volume,
                                    const medsam_session_options* options, medsam_session** session) {
  return call([&] {
    required(session, "session") = nullptr;
    const auto held = target(engine);
    // The session keeps all of what the handle stands for.
    const std::shared_ptr<const Engine> shared(held, &held->engine);
    auto made = std::make_shared<OpenSession>();
    made->session = std::make_unique<Session>(shared, to_view(volume), to_options(options));
    *session = make_handle<medsam_session>(std::move(made));
  });
}

void medsam_session_destroy(medsam_session* session) { destroy(session); }

medsam_status medsam_session_add_box(medsam_session* session, const char* object, const medsam_box* box,
                                     const medsam_plane* plane, medsam_voxel_box* changed) {
  return change(session, changed, [&](Session& to) {
    const medsam_box& in = required(box, "box");
    return to.add_box(name_of(object), Box{in.x0, in.y0, in.x1, in.y1}, to_plane(plane));
  });
}

medsam_status medsam_session_add_box_3d(medsam_session* session, const char* object, const medsam_box_3d* box,
                                        const medsam_volume_options* options, medsam_voxel_box* changed) {
  return change(session, changed, [&](Session& to) {
    const medsam_box_3d& in = required(box, "box");
    if (iou_of(options) != nullptr) {
      throw InvalidArgument("volume options: got a buffer for iou, expected NULL; a session has no estimates");
    }
    return to.add_box(name_of(object), Box3D{in.x0, in.y0, in.z0, in.x1, in.y1, in.z1}, to_options(options));
  });
}

medsam_status medsam_session_add_click(medsam_session* session, const char* object, const medsam_plane_point* point,
                                       int32_t positive, const medsam_plane* plane, medsam_voxel_box* changed) {
  return change(session, changed, [&](Session& to) {
    return to.add_click(name_of(object), to_point(point, "point"), checked_flag(positive, "positive"), to_plane(plane));
  });
}

medsam_status medsam_session_add_scribble(medsam_session* session, const char* object, const medsam_plane_point* points,
                                          int64_t count, int32_t positive, const medsam_plane* plane,
                                          medsam_voxel_box* changed) {
  return change(session, changed, [&](Session& to) {
    return to.add_scribble(name_of(object), to_points(points, count), checked_flag(positive, "positive"),
                           to_plane(plane));
  });
}

medsam_status medsam_session_add_lasso(medsam_session* session, const char* object, const medsam_plane_point* points,
                                       int64_t count, const medsam_plane* plane, medsam_voxel_box* changed) {
  return change(session, changed,
                [&](Session& to) { return to.add_lasso(name_of(object), to_points(points, count), to_plane(plane)); });
}

medsam_status medsam_session_add_line(medsam_session* session, const char* object, const medsam_plane_point* from,
                                      const medsam_plane_point* to, const medsam_plane* plane,
                                      medsam_voxel_box* changed) {
  return change(session, changed, [&](Session& with) {
    return with.add_line(name_of(object), to_point(from, "from"), to_point(to, "to"), to_plane(plane));
  });
}

medsam_status medsam_session_add_mask(medsam_session* session, const char* object, const medsam_label_volume* mask,
                                      medsam_voxel_box* changed) {
  return change(session, changed, [&](Session& to) { return to.add_mask(name_of(object), to_view(mask)); });
}

medsam_status medsam_session_propagate(medsam_session* session, const char* object,
                                       const medsam_propagate_options* options, medsam_voxel_box* changed) {
  return change(session, changed, [&](Session& to) { return to.propagate(name_of(object), to_options(options)); });
}

medsam_status medsam_session_undo(medsam_session* session, medsam_voxel_box* changed) {
  return change(session, changed, [](Session& to) { return to.undo(); });
}

medsam_status medsam_session_redo(medsam_session* session, medsam_voxel_box* changed) {
  return change(session, changed, [](Session& to) { return to.redo(); });
}

medsam_status medsam_session_get_steps(const medsam_session* session, int64_t* undo, int64_t* redo) {
  return call([&] {
    const auto held = target(session);
    const std::int64_t past = held->session->undo_steps(), future = held->session->redo_steps();
    if (undo != nullptr) *undo = past;
    if (redo != nullptr) *redo = future;
  });
}

medsam_status medsam_session_remove(medsam_session* session, const char* object, medsam_voxel_box* changed) {
  return change(session, changed, [&](Session& to) { return to.remove(name_of(object)); });
}

medsam_status medsam_session_reset(medsam_session* session, medsam_voxel_box* changed) {
  return change(session, changed, [](Session& to) { return to.reset(); });
}

medsam_status medsam_session_lock(medsam_session* session, const char* object, int32_t locked) {
  return call([&] { target(session)->session->lock(name_of(object), checked_flag(locked, "locked")); });
}

medsam_status medsam_session_get_object_count(const medsam_session* session, int64_t* count) {
  return call([&] {
    const auto held = target(session);
    required(count, "count") = static_cast<std::int64_t>(held->session->objects().size());
  });
}

medsam_status medsam_session_get_object(const medsam_session* session, int64_t index, medsam_session_object* object) {
  return call([&] {
    const std::vector<SessionObject> all = target(session)->session->objects();
    if (index < 0 || index >= static_cast<std::int64_t>(all.size())) {
      throw InvalidArgument("object: got number " + std::to_string(index) + ", expected one of the session's " +
                            std::to_string(all.size()) + " objects, counted from 0");
    }
    const SessionObject& from = all[static_cast<std::size_t>(index)];
    medsam_session_object out{};
    out.voxels = from.voxels;
    out.prompts = from.prompts;
    out.box = to_c(from.box);
    out.locked = from.locked ? 1 : 0;
    check_capacity(out.name, sizeof out.name, from.name.size() + 1, "name, in bytes");
    std::memcpy(out.name, from.name.c_str(), from.name.size() + 1);
    store(object, required(object, "object").size, out, "session object");
  });
}

medsam_status medsam_session_read_mask(const medsam_session* session, const char* object,
                                       const medsam_label_volume* labels, uint32_t label) {
  return call([&] { target(session)->session->mask(name_of(object), to_view(labels), label); });
}

medsam_status medsam_session_read_mask_box(const medsam_session* session, const char* object,
                                           const medsam_voxel_box* box, const medsam_label_volume* labels,
                                           uint32_t label) {
  return call([&] {
    const medsam_voxel_box& in = required(box, "box");
    const VoxelBox voxels{in.x0, in.y0, in.z0, in.x1, in.y1, in.z1};
    target(session)->session->mask(name_of(object), voxels, to_view(labels), label);
  });
}

medsam_status medsam_session_preview_click(const medsam_session* session, const medsam_plane_point* point,
                                           const medsam_plane* plane, const medsam_labels* labels, int32_t* answered) {
  return call([&] {
    const auto held = target(session);
    int32_t& out = required(answered, "answered");
    out = held->session->preview_click(to_point(point, "point"), to_plane(plane), to_view(labels)) ? 1 : 0;
  });
}

medsam_status medsam_session_preview_box(const medsam_session* session, const medsam_box* box,
                                         const medsam_plane* plane, const medsam_labels* labels, int32_t* answered) {
  return call([&] {
    const auto held = target(session);
    int32_t& out = required(answered, "answered");
    const medsam_box& in = required(box, "box");
    out = held->session->preview_box({in.x0, in.y0, in.x1, in.y1}, to_plane(plane), to_view(labels)) ? 1 : 0;
  });
}

medsam_status medsam_session_read_labels(const medsam_session* session, const medsam_label_volume* labels) {
  return call([&] { target(session)->session->labels(to_view(labels)); });
}

medsam_status medsam_session_get_encoding(const medsam_session* session, medsam_encoding_progress* progress) {
  return call([&] {
    const EncodingProgress from = target(session)->session->encoding();
    medsam_encoding_progress out{};
    out.encoded = from.encoded;
    out.total = from.total;
    out.idle = from.idle ? 1 : 0;
    store(progress, required(progress, "progress").size, out, "encoding progress");
  });
}

medsam_status medsam_session_save(const medsam_session* session, const char* path) {
  return call([&] { target(session)->session->save(&required(path, "path")); });
}

medsam_status medsam_session_load(medsam_session* session, const char* path, medsam_voxel_box* changed) {
  return change(session, changed, [&](Session& to) { return to.load(&required(path, "path")); });
}
