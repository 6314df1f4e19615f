// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The public face of a session: every call takes the lock, checks its arguments and goes through at_edge.
#include "medsam/session.hpp"

#include <algorithm>
#include <utility>

#include "base/edge.hpp"
#include "engine/engine_impl.hpp"
#include "image/geometry.hpp"
#include "image/overlap.hpp"
#include "image/views.hpp"
#include "session/mask_views.hpp"
#include "session/session_file.hpp"
#include "session/session_impl.hpp"

namespace medsam {

using session::ObjectPtr;
using session::PromptKind;
using session::SessionPrompt;
using session::State;

namespace {

/// Says which thread's call holds the lock.
class Calling {
 public:
  explicit Calling(std::atomic<std::thread::id>& caller) : caller_(caller) { caller_ = std::this_thread::get_id(); }
  ~Calling() { caller_ = std::thread::id(); }
  Calling(const Calling&) = delete;
  Calling& operator=(const Calling&) = delete;

 private:
  std::atomic<std::thread::id>& caller_;
};

void check_caller(const Session::Impl& impl) {
  impl.check_process();
  if (impl.caller == std::this_thread::get_id()) {
    throw Unsupported("session: used by a callback of its own call, which would wait for itself; return first");
  }
}

/// Runs a call of a session: in its own process, alone, with no encode begun ahead meanwhile.
template <class F>
auto in_turn(const char* what, const Session::Impl& impl, F&& f) {
  return at_edge(what, [&] {
    check_caller(impl);
    const std::lock_guard lock(impl.mutex);
    const Calling calling(impl.caller);
    const session::EncodeAhead::Busy busy(impl.ahead);
    return std::forward<F>(f)();
  });
}

/// A preview: checked() checks its arguments and returns what answers it. False where the session is busy or the plane
/// is not encoded.
template <class Checked>
bool preview(const char* what, const Session::Impl& impl, const LabelView& out, const Plane& plane, Checked&& checked) {
  return at_edge(what, [&] {
    check_caller(impl);
    const auto answer = checked();
    const session::Grid& grid = impl.pixels.grid();
    check_labels(out, grid.rows(plane.axis), grid.columns(plane.axis), 1);
    const std::unique_lock lock(impl.mutex, std::try_to_lock);
    if (!lock || !impl.embeddings.holds(plane)) return false;
    const Calling calling(impl.caller);
    const session::EncodeAhead::Busy busy(impl.ahead);
    session::write_plane(answer({impl.model, impl.pixels, plane}).mask, out);
    return true;
  });
}

SessionPrompt plane_prompt(PromptKind kind, const Plane& plane, std::vector<PlanePoint> points, bool positive = true) {
  SessionPrompt prompt;
  prompt.kind = kind;
  prompt.plane = plane;
  prompt.positive = positive;
  prompt.points = std::move(points);
  return prompt;
}

Box checked_plane_box(const session::Grid& grid, const Box& box, const Plane& plane) {
  session::check_plane(grid, plane);
  return checked_box(
      box, grid.rows(plane.axis), grid.columns(plane.axis),
      "box: got " + numbers_text({box.x0, box.y0, box.x1, box.y1}) + " in " + session::plane_text(plane));
}

void check_points(const session::Grid& grid, const Plane& plane, const std::vector<PlanePoint>& points,
                  std::size_t least, const std::string& what) {
  session::check_plane(grid, plane);
  if (points.size() < least || points.size() > session::kMostPoints) {
    throw InvalidArgument(what + ": got " + std::to_string(points.size()) + " points, expected " +
                          std::to_string(least) + " to " + std::to_string(session::kMostPoints));
  }
  for (const PlanePoint& point : points) session::check_point(grid, plane, point, what);
  session::check_drawn(grid, plane, points, what);
}

/// Which object keeps a voxel that several have, lowest first: locked ones last, in their order.
std::vector<std::size_t> painted_order(const State& state, Overlap overlap) {
  std::vector<double> sizes;
  sizes.reserve(state.objects.size());
  for (const ObjectPtr& object : state.objects) sizes.push_back(static_cast<double>(object->voxels));
  std::vector<std::size_t> order = paint_order(sizes, overlap);
  std::stable_partition(order.begin(), order.end(), [&](std::size_t i) { return !state.objects[i]->locked; });
  return order;
}

}  // namespace

Session::Session(std::shared_ptr<const Engine> engine, const VolumeView& pixels, const SessionOptions& options)
    : impl_(at_edge("session", [&] { return std::make_unique<Impl>(std::move(engine), pixels, options); })) {}

Session::~Session() {
  // In a forked child the session's thread does not exist, and ending what it waits for would hang.
  if (impl_ && platform::process_id() != impl_->process) {
    const Impl* left_alone = impl_.release();
    static_cast<void>(left_alone);
  }
}

VoxelBox Session::add_box(const std::string& object, const Box& box, const Plane& plane) {
  return in_turn("add_box", *impl_, [&] {
    const Box checked = checked_plane_box(impl_->pixels.grid(), box, plane);
    SessionPrompt given = plane_prompt(PromptKind::box, plane, {{checked.x0, checked.y0}, {checked.x1, checked.y1}});
    return impl_->prompt(object, std::move(given), true,
                         [&](const session::Answering& with) { return answer_box(with, checked); });
  });
}

VoxelBox Session::add_box(const std::string& object, const Box3D& box, const VolumeOptions& options) {
  return in_turn("add_box", *impl_, [&] { return impl_->box_3d(object, box, options); });
}

VoxelBox Session::add_click(const std::string& object, const PlanePoint& point, bool positive, const Plane& plane) {
  return in_turn("add_click", *impl_, [&] {
    check_points(impl_->pixels.grid(), plane, {point}, 1, "click");
    return impl_->stroke(object, plane_prompt(PromptKind::click, plane, {point}, positive));
  });
}

VoxelBox Session::add_scribble(const std::string& object, const std::vector<PlanePoint>& line, bool positive,
                               const Plane& plane) {
  return in_turn("add_scribble", *impl_, [&] {
    check_points(impl_->pixels.grid(), plane, line, 1, "scribble");
    return impl_->stroke(object, plane_prompt(PromptKind::scribble, plane, line, positive));
  });
}

VoxelBox Session::add_lasso(const std::string& object, const std::vector<PlanePoint>& outline, const Plane& plane) {
  return in_turn("add_lasso", *impl_, [&] {
    check_points(impl_->pixels.grid(), plane, outline, 3, "lasso");
    return impl_->prompt(object, plane_prompt(PromptKind::lasso, plane, outline), true,
                         [&](const session::Answering& with) { return answer_lasso(with, outline); });
  });
}

VoxelBox Session::add_line(const std::string& object, const PlanePoint& from, const PlanePoint& to,
                           const Plane& plane) {
  return in_turn("add_line", *impl_, [&] {
    check_points(impl_->pixels.grid(), plane, {from, to}, 2, "line");
    return impl_->prompt(object, plane_prompt(PromptKind::line, plane, {from, to}), true,
                         [&](const session::Answering& with) { return answer_line(with, from, to); });
  });
}

VoxelBox Session::add_mask(const std::string& object, const LabelVolumeView& mask) {
  return in_turn("add_mask", *impl_, [&] {
    const session::Grid& grid = impl_->pixels.grid();
    check_label_volume(mask, impl_->pixels.slices(0, grid.depth() - 1), 0);
    session::Mask voxels(grid);
    for (std::int64_t z = 0; z < grid.depth(); ++z) voxels.set_plane({0, z}, session::read_slice(mask, z));
    SessionPrompt given;
    given.kind = PromptKind::mask;
    return impl_->replace_mask(object, std::move(given), voxels);
  });
}

VoxelBox Session::propagate(const std::string& object, const PropagateOptions& options) {
  return in_turn("propagate", *impl_, [&] { return impl_->propagate(object, options); });
}

VoxelBox Session::undo() {
  return in_turn("undo", *impl_, [&] {
    session::History& history = impl_->history;
    if (history.earlier() == nullptr) return VoxelBox{};
    const VoxelBox changed = difference(impl_->pixels.grid(), history.now(), *history.earlier());
    history.undo();
    return changed;
  });
}

VoxelBox Session::redo() {
  return in_turn("redo", *impl_, [&] {
    session::History& history = impl_->history;
    if (history.later() == nullptr) return VoxelBox{};
    const VoxelBox changed = difference(impl_->pixels.grid(), history.now(), *history.later());
    history.redo();
    return changed;
  });
}

std::int64_t Session::undo_steps() const {
  return in_turn("undo_steps", *impl_, [&] { return static_cast<std::int64_t>(impl_->history.undo_steps()); });
}

std::int64_t Session::redo_steps() const {
  return in_turn("redo_steps", *impl_, [&] { return static_cast<std::int64_t>(impl_->history.redo_steps()); });
}

VoxelBox Session::remove(const std::string& object) {
  return in_turn("remove", *impl_, [&] {
    const ObjectPtr found = impl_->existing(object);
    State next = impl_->history.now();
    next.objects.erase(std::find(next.objects.begin(), next.objects.end(), found));
    return impl_->step(std::move(next));
  });
}

VoxelBox Session::reset() {
  return in_turn("reset", *impl_, [&]() -> VoxelBox {
    if (impl_->history.now().objects.empty()) return {};
    return impl_->step({});
  });
}

void Session::lock(const std::string& object, bool locked) {
  in_turn("lock", *impl_, [&] {
    const ObjectPtr found = impl_->existing(object);
    if (found->locked == locked) return;
    session::Object changed = *found;
    changed.locked = locked;
    State next = impl_->history.now();
    next.put(std::make_shared<const session::Object>(std::move(changed)));
    impl_->step(std::move(next));
  });
}

std::vector<SessionObject> Session::objects() const {
  return in_turn("objects", *impl_, [&] {
    std::vector<SessionObject> all;
    for (const ObjectPtr& object : impl_->history.now().objects) {
      all.push_back({object->name, object->locked, object->voxels, object->box,
                     static_cast<std::int64_t>(object->prompts.size())});
    }
    return all;
  });
}

void Session::mask(const std::string& object, const LabelVolumeView& out, std::uint32_t label) const {
  mask(object, session::whole(impl_->pixels.grid()), out, label);
}

void Session::mask(const std::string& object, const VoxelBox& box, const LabelVolumeView& out,
                   std::uint32_t label) const {
  in_turn("mask", *impl_, [&] {
    const ObjectPtr found = impl_->existing(object);
    session::check_voxels(impl_->pixels.grid(), box);
    VolumeView size;
    size.depth = box.z1 - box.z0 + 1;
    size.height = box.y1 - box.y0 + 1;
    size.width = box.x1 - box.x0 + 1;
    if (label == 0) throw InvalidArgument("mask: got label 0, expected 1 or more; 0 is what lies outside");
    check_label_volume(out, size, label);
    session::clear(out);
    session::write_mask(found->mask, box, out, label);
  });
}

bool Session::preview_click(const PlanePoint& point, const Plane& plane, const LabelView& out) const {
  return preview("preview_click", *impl_, out, plane, [&] {
    check_points(impl_->pixels.grid(), plane, {point}, 1, "click");
    return [&](const session::Answering& with) {
      impl_->previewed = {plane, point, session::answer_first(with, plane_prompt(PromptKind::click, plane, {point}))};
      return impl_->previewed->answer;
    };
  });
}

bool Session::preview_box(const Box& box, const Plane& plane, const LabelView& out) const {
  return preview("preview_box", *impl_, out, plane, [&] {
    return [checked = checked_plane_box(impl_->pixels.grid(), box, plane)](const session::Answering& with) {
      // Without the windows of a profile that zooms: each would be encoded first.
      return session::Answer{with.model.boxes(with.plane, {checked}).mask(0), std::nullopt};
    };
  });
}

void Session::labels(const LabelVolumeView& out) const {
  in_turn("labels", *impl_, [&] {
    const State& now = impl_->history.now();
    check_label_volume(out, impl_->pixels.slices(0, impl_->pixels.grid().depth() - 1), now.objects.size());
    session::clear(out);
    const VoxelBox all = session::whole(impl_->pixels.grid());
    for (const std::size_t i : painted_order(now, impl_->engine->impl().profile.mask.overlap)) {
      session::write_mask(now.objects[i]->mask, all, out, static_cast<std::uint32_t>(i + 1));
    }
  });
}

EncodingProgress Session::encoding() const {
  return at_edge("encoding", [&] {
    impl_->check_process();
    return impl_->ahead.progress();
  });
}

void Session::save(const std::string& path) const {
  // What is saved is what the objects were when the call began; the session can be used while it is written.
  std::string text = in_turn(
      "save", *impl_, [&] { return session_text(impl_->history.now(), impl_->pixels.grid(), impl_->pixels.digest()); });
  at_edge("save", [&] { session::write_session(path, text); });
}

VoxelBox Session::load(const std::string& path) {
  const std::string text = at_edge("load", [&] {
    impl_->check_process();
    return session::read_session(path);
  });
  return in_turn("load", *impl_,
                 [&] { return impl_->step(session::session_of(text, impl_->pixels.grid(), impl_->pixels.digest())); });
}

}  // namespace medsam
