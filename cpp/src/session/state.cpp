// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "session/state.hpp"

#include <algorithm>
#include <utility>

namespace medsam::session {

namespace {

/// The answer to the prompt of the whole object, where there is one: the first prompt.
const Mask& base_of(const ObjectPtr& object) {
  static const Mask kNothing;
  const bool has = object && !object->prompts.empty() && object->prompts.front()->base;
  return has ? *object->prompts.front()->base : kNothing;
}

std::uint64_t bytes_of(const SessionPrompt& prompt, const Mask& other_base) {
  std::uint64_t bytes = sizeof(SessionPrompt) + prompt.points.size() * sizeof(PlanePoint);
  if (prompt.before) bytes += prompt.before->table_bytes() + prompt.before->bytes_beyond(Mask());
  if (prompt.base) bytes += prompt.base->table_bytes() + prompt.base->bytes_beyond(other_base);
  return bytes;
}

/// Bytes of masks and prompts of `a` that `b` does not share.
std::uint64_t bytes_beyond(const State& a, const State& b) {
  std::uint64_t bytes = 0;
  for (const ObjectPtr& object : a.objects) {
    const ObjectPtr other = b.find(object->name);
    if (other == object) continue;
    bytes += sizeof(Object) + object->prompts.size() * sizeof(PromptPtr) + object->mask.table_bytes();
    for (const PromptPtr& prompt : object->prompts) {
      const bool shared =
          other && std::find(other->prompts.begin(), other->prompts.end(), prompt) != other->prompts.end();
      if (!shared) bytes += bytes_of(*prompt, base_of(other));
    }
    bytes += object->mask.bytes_beyond(other ? other->mask : Mask());
  }
  return bytes;
}

}  // namespace

std::optional<Box> SessionPrompt::asked_box() const {
  if (kind != PromptKind::box) return answer_box;
  return Box{points[0].x, points[0].y, points[1].x, points[1].y};
}

ObjectPtr State::find(const std::string& name) const {
  const auto found = std::find_if(objects.begin(), objects.end(), [&](const auto& o) { return o->name == name; });
  return found == objects.end() ? nullptr : *found;
}

void State::put(ObjectPtr object) {
  const auto found =
      std::find_if(objects.begin(), objects.end(), [&](const auto& o) { return o->name == object->name; });
  if (found == objects.end()) {
    objects.push_back(std::move(object));
  } else {
    *found = std::move(object);
  }
}

ObjectPtr finished(Object object) {
  object.voxels = object.mask.voxels();
  object.box = object.mask.box();
  return std::make_shared<const Object>(std::move(object));
}

VoxelBox difference(const Grid& grid, const State& a, const State& b) {
  VoxelBox changed;
  const auto add = [&](const State& from, const State& to, bool both) {
    for (const ObjectPtr& object : from.objects) {
      const ObjectPtr other = to.find(object->name);
      if (other == object || (other && !both)) continue;
      changed = united(changed, object->mask.difference(other ? other->mask : Mask(grid)));
    }
  };
  add(a, b, true);
  add(b, a, false);
  return changed;
}

void History::step(State next) {
  const std::uint64_t bytes = bytes_beyond(now_, next);
  past_.emplace_back();  // what may throw comes first
  past_.back() = {std::exchange(now_, std::move(next)), bytes};
  future_.clear();
  trim();
}

void History::undo() {
  if (past_.empty()) return;
  future_.emplace_back();
  future_.back() = std::exchange(now_, std::move(past_.back().state));
  past_.pop_back();
}

void History::redo() {
  if (future_.empty()) return;
  const std::uint64_t bytes = bytes_beyond(now_, future_.back());
  past_.emplace_back();
  past_.back() = {std::exchange(now_, std::move(future_.back())), bytes};
  future_.pop_back();
}

void History::trim() {
  std::uint64_t bytes = 0;
  for (const Step& step : past_) bytes += step.bytes;
  while (past_.size() > 1 && bytes > budget_) {
    bytes -= past_.front().bytes;
    past_.pop_front();
  }
}

}  // namespace medsam::session
