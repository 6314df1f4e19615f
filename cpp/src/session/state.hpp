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

struct Object {
  std::string name;
  bool locked = false;
  std::vector<SessionPrompt> prompts;  // in their order
  Mask mask;
};
using ObjectPtr = std::shared_ptr<const Object>;

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

/// The states before and after the present one. Steps are forgotten, the oldest first, when the masks that only they
/// hold exceed the bytes given; one is always kept.
class History {
 public:
  explicit History(std::uint64_t bytes) : budget_(bytes) {}

  [[nodiscard]] const State& now() const { return now_; }
  /// A new step; what was taken back is forgotten.
  void step(State next);
  /// Whether there was a step to take back, or to do again.
  bool undo();
  bool redo();
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
