// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What a session knows of its objects, as values: a step of undo is a copy, which shares what did not change.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "session/mask.hpp"

namespace medsam::session {

enum class PromptKind : std::uint8_t { box, box_3d, click, scribble, lasso, line, mask };

/// The most points of a prompt.
inline constexpr std::size_t kMostPoints = 100000;
/// The most objects of a session: what a label map of u16 tells apart.
inline constexpr std::size_t kMostObjects = 65535;

/// A prompt as it was given.
struct SessionPrompt {
  PromptKind kind = PromptKind::box;
  Plane plane;                     // of a prompt of a plane
  bool positive = true;            // of clicks and scribbles
  std::vector<PlanePoint> points;  // two corners of a box or ends of a line, else the points in their order
  Box3D box;                       // of box_3d
  std::optional<Box> answer_box;   // what the model was asked with, where that is not in `points`
  std::optional<Mask> before;  // of the first prompt of a plane that corrects it: the object's voxels there until then
  std::optional<Mask> base;    // of prompts of the whole object: the answer

  /// Whether it was given in this plane.
  [[nodiscard]] bool in(const Plane& p) const { return !whole() && plane.axis == p.axis && plane.index == p.index; }
  /// Whether it is about the whole object.
  [[nodiscard]] bool whole() const { return kind == PromptKind::box_3d || kind == PromptKind::mask; }
  /// What the model was asked with for it; nothing for clicks and lines that correct.
  [[nodiscard]] std::optional<Box> asked_box() const;
};

using PromptPtr = std::shared_ptr<const SessionPrompt>;

struct Object {
  std::string name;
  bool locked = false;
  std::vector<PromptPtr> prompts;  // in their order; the steps of undo share them
  Mask mask;
  // Of the mask, by `finished`:
  std::int64_t voxels = 0;
  VoxelBox box;
};
using ObjectPtr = std::shared_ptr<const Object>;

/// The object with the size and the box of its mask, for a state.
ObjectPtr finished(Object object);

/// The objects in the order in which they were made. Immutable objects: whoever changes one puts a changed copy in its
/// place.
struct State {
  std::vector<ObjectPtr> objects;

  [[nodiscard]] ObjectPtr find(const std::string& name) const;
  /// Puts `object` in the place of the one of its name, or behind the others.
  void put(ObjectPtr object);
};

/// The bounding box of the voxels that differ between two states.
VoxelBox difference(const Grid& grid, const State& a, const State& b);

/// The states before and after the present one. Steps to undo are forgotten, the oldest first, when the masks and the
/// prompts that only they hold exceed the bytes given; one is always kept.
class History {
 public:
  explicit History(std::uint64_t bytes) : budget_(bytes) {}

  [[nodiscard]] const State& now() const { return now_; }
  /// The states that undo and redo lead to; nullptr where there is none.
  [[nodiscard]] const State* earlier() const { return past_.empty() ? nullptr : &past_.back().state; }
  [[nodiscard]] const State* later() const { return future_.empty() ? nullptr : &future_.back(); }
  /// A new step; what was taken back is forgotten. Each of these three throws only before it has changed anything.
  void step(State next);
  /// To earlier() and later(), where there is one.
  void undo();
  void redo();
  [[nodiscard]] std::size_t undo_steps() const { return past_.size(); }
  [[nodiscard]] std::size_t redo_steps() const { return future_.size(); }

 private:
  struct Step {
    State state;
    std::uint64_t bytes = 0;  // of masks that the state after it does not share
  };
  void trim();

  std::uint64_t budget_;
  State now_;
  std::deque<Step> past_;
  std::vector<State> future_;
};

}  // namespace medsam::session
