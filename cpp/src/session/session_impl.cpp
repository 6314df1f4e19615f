// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "session/session_impl.hpp"

#include <algorithm>
#include <utility>

#include "engine/engine_impl.hpp"
#include "image/views.hpp"
#include "medsam/error.hpp"
#include "medsam/printable.hpp"
#include "session/sections.hpp"
#include "volume/slice_boxes.hpp"

namespace medsam {

using session::Answer;
using session::Answering;
using session::Mask;
using session::Object;
using session::ObjectPtr;
using session::PromptKind;
using session::PromptPtr;
using session::SessionPrompt;
using session::State;

namespace {

constexpr std::size_t kLongestName = 500;  // bytes

std::string object_text(const std::string& name) { return "object \"" + printable(name, 64) + "\""; }

const Engine& checked_engine(const std::shared_ptr<const Engine>& engine, const SessionOptions& options) {
  if (!engine) throw InvalidArgument("session: got no engine, expected one; load a bundle first");
  engine->impl().check_process();
  static_cast<void>(engine->impl().route_of(options.modality));
  return *engine;
}

}  // namespace

Session::Impl::Impl(std::shared_ptr<const Engine> with, const VolumeView& volume, SessionOptions given)
    : engine(std::move(with)),
      options(std::move(given)),
      pixels(volume, options),
      embeddings(engine, pixels, options.modality, options.embedding_bytes),
      model(checked_engine(engine, options), pixels.grid(), embeddings),
      sections(session::section_rules(engine->impl().profile.volume)),
      history(options.undo_bytes),
      ahead(embeddings, pixels.grid(), options.encode_ahead) {}

void Session::Impl::check_process() const {
  if (platform::process_id() != process) {
    throw Unsupported(
        "session: used in a child process after fork, where its threads do not exist; start processes with the spawn "
        "method, and create the Session in them");
  }
}

Object Session::Impl::editable(const std::string& name) const {
  if (name.empty() || name.size() > kLongestName || printable(name) != name) {
    throw InvalidArgument("object: got the name \"" + printable(name, 64) + "\" of " + std::to_string(name.size()) +
                          " bytes, expected 1 to " + std::to_string(kLongestName) + " bytes of printable UTF-8");
  }
  const ObjectPtr found = history.now().find(name);
  if (!found) {
    if (history.now().objects.size() >= session::kMostObjects) {
      throw InvalidArgument(object_text(name) + ": got a new object beyond the " +
                            std::to_string(session::kMostObjects) +
                            " that a session can hold; remove some, or begin another session");
    }
    Object made;
    made.name = name;
    made.mask = Mask(pixels.grid());
    return made;
  }
  if (found->locked) {
    throw InvalidArgument(object_text(name) + ": got a prompt for a locked object; unlock it first");
  }
  return *found;
}

ObjectPtr Session::Impl::existing(const std::string& name) const {
  ObjectPtr found = history.now().find(name);
  if (!found) {
    throw InvalidArgument(object_text(name) + ": got a name that no object has, expected one of the " +
                          std::to_string(history.now().objects.size()) + " that objects() lists");
  }
  return found;
}

VoxelBox Session::Impl::step(State next) {
  const VoxelBox changed = difference(pixels.grid(), history.now(), next);
  history.step(std::move(next));
  return changed;
}

std::vector<Mask> Session::Impl::kept_from(const std::string& name) const {
  const ObjectPtr earlier = history.now().find(name);
  std::vector<Mask> kept;
  for (const ObjectPtr& other : history.now().objects) {
    if (!other->locked || other->name == name) continue;
    kept.push_back(other->mask);  // what both had before the lock stays with both
    if (earlier) kept.back().subtract(earlier->mask);
  }
  return kept;
}

VoxelBox Session::Impl::commit(Object object) {
  for (const Mask& taken : kept_from(object.name)) object.mask.subtract(taken);
  State next = history.now();
  next.put(finished(std::move(object)));
  return step(std::move(next));
}

VoxelBox Session::Impl::prompt(const std::string& name, SessionPrompt given, bool replaces,
                               const std::function<Answer(const Answering&)>& answer) {
  Object object = editable(name);
  const Plane plane = given.plane;
  ahead.focus(plane);
  Answer answered = answer({model, pixels, plane});
  given.before = uncorrected(object, plane, replaces);
  if (replaces) {
    object.prompts.erase(
        std::remove_if(object.prompts.begin(), object.prompts.end(), [&](const PromptPtr& p) { return p->in(plane); }),
        object.prompts.end());
  }
  given.answer_box = answered.box;
  object.prompts.push_back(std::make_shared<const SessionPrompt>(std::move(given)));
  object.mask.set_plane(plane, answered.mask);
  return commit(std::move(object));
}

std::optional<Mask> Session::Impl::uncorrected(const Object& object, const Plane& plane, bool replaces) const {
  const bool whole = !object.prompts.empty() && object.prompts.front()->whole();
  if (replaces && !whole) return std::nullopt;  // the new answer is not a correction
  for (const PromptPtr& prompt : object.prompts) {
    // What is replaced takes its record along; what is added finds it where it is.
    if (prompt->in(plane) && prompt->before) return replaces ? prompt->before : std::nullopt;
  }
  Mask alone(pixels.grid());
  alone.set_plane(plane, object.mask.pixels(plane));
  return alone;
}

Answer Session::Impl::first_answer(const Answering& with, const SessionPrompt& first) {
  const bool known = previewed && first.kind == PromptKind::click && first.in(previewed->plane) &&
                     first.points.front().x == previewed->point.x && first.points.front().y == previewed->point.y;
  return known ? previewed->answer : session::answer_first(with, first);
}

VoxelBox Session::Impl::stroke(const std::string& name, SessionPrompt given) {
  const Object object = editable(name);
  const session::PlaneMask before = object.mask.pixels(given.plane);
  if (!before.any()) {
    if (!given.positive) {
      throw InvalidArgument(std::string(given.kind == PromptKind::click ? "click" : "scribble") +
                            ": got a negative one in " + session::plane_text(given.plane) + ", where " +
                            object_text(name) + " has nothing; begin with a positive one or a box");
    }
    const SessionPrompt first = given;
    return prompt(name, std::move(given), true, [&](const Answering& with) { return first_answer(with, first); });
  }
  std::vector<SessionPrompt> prompts;
  for (const PromptPtr& earlier : object.prompts) {
    if (earlier->in(given.plane)) prompts.push_back(*earlier);
  }
  prompts.push_back(given);
  // A plane with a box of its own is no longer that of the mask.
  std::optional<session::PlaneMask> initial;
  if (!object.prompts.empty() && object.prompts.front()->kind == PromptKind::mask && !prompts.front().asked_box()) {
    initial = object.prompts.front()->base->pixels(given.plane);
  }
  return prompt(name, std::move(given), false,
                [&](const Answering& with) { return session::corrected(with, before, prompts, initial); });
}

VoxelBox Session::Impl::box_3d(const std::string& name, const Box3D& box, const VolumeOptions& volume_options) {
  const session::Grid& grid = pixels.grid();
  static_cast<void>(editable(name));
  const Box3D checked = checked_box3d(box, grid.depth(), grid.height(), grid.width(), 0);
  // The slices of the box, and one beyond each end, which says that the volume goes on there: what lies farther away
  // has no part in the answer.
  const auto first = static_cast<std::int64_t>(checked.z0);
  const auto last = std::min(static_cast<std::int64_t>(checked.z1), grid.depth() - 1);
  std::int64_t from = std::max<std::int64_t>(first - 1, 0), to = std::min(last + 1, grid.depth() - 1);
  VolumeOptions call = volume_options;
  if (call.planes == VolumePlanes::three) {  // planes across go through all slices
    from = 0;
    to = grid.depth() - 1;
    call.spacing_x = grid.spacing[2];
    call.spacing_y = grid.spacing[1];
    call.spacing_z = grid.spacing[0];
  }
  Box3D inside = checked;
  inside.z0 -= static_cast<double>(from);
  inside.z1 -= static_cast<double>(from);
  const std::int64_t slice = grid.height() * grid.width();
  std::vector<std::uint8_t> labels(static_cast<std::size_t>((to - from + 1) * slice));
  const LabelVolumeView view{labels.data(), LabelType::u8, to - from + 1, grid.height(),
                             grid.width(),  grid.width(),  slice};
  if (call.modality.empty()) call.modality = options.modality;
  engine->segment_volume(pixels.slices(from, to), {inside}, view, call);
  Mask mask(grid);
  session::PlaneMask values(grid, 0);
  for (std::int64_t z = first; z <= last; ++z) {
    const auto* written = labels.data() + (z - from) * slice;
    std::copy(written, written + slice, values.values.begin());
    mask.set_plane({0, z}, values);
  }
  SessionPrompt given;
  given.kind = PromptKind::box_3d;
  given.box = checked;
  ahead.focus({0, (first + last) / 2});
  return replace_mask(name, std::move(given), mask);
}

VoxelBox Session::Impl::replace_mask(const std::string& name, SessionPrompt given, const Mask& mask) {
  Object object = editable(name);
  given.base = mask;
  object.prompts.clear();
  object.prompts.push_back(std::make_shared<const SessionPrompt>(std::move(given)));
  object.mask = mask;  // shares its slices with the answer
  return commit(std::move(object));
}

}  // namespace medsam
