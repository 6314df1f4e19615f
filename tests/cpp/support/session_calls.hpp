// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Calls of a session as values, so that a random sequence of them can be played again.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "medsam/session.hpp"

namespace medsam::testing {

enum class SessionCallKind : std::uint8_t {
  box,
  box_3d,
  click,
  scribble,
  lasso,
  line,
  mask,
  propagate,
  remove,
  reset,
  lock,
  undo,
  redo,
  kinds
};

struct SessionCall {
  SessionCallKind kind = SessionCallKind::box;
  std::string object;
  Plane plane;
  bool flag = true;  // positive, or locked
  std::vector<PlanePoint> points;
  Box3D box;
  std::vector<std::uint8_t> mask;
  PropagateOptions propagate;
};

/// A call of values that are mostly right for a volume of this shape (D, H, W). `below(n)` gives a number from 0 to
/// n - 1.
SessionCall random_call(const std::int64_t (&shape)[3], const std::function<std::uint32_t(std::uint32_t)>& below);

/// Makes the call; returns what it returns.
VoxelBox make_call(Session& session, const std::int64_t (&shape)[3], const SessionCall& call);

/// Plays calls on one session and keeps those that count: the ones that made a step and were not taken back.
class SessionPlayer {
 public:
  SessionPlayer(Session& session, const std::int64_t (&shape)[3])
      : session_(session), shape_{shape[0], shape[1], shape[2]} {}

  /// Makes the call. Returns the box of what changed; nothing where the call raised medsam::Error.
  std::optional<VoxelBox> play(const SessionCall& call);
  /// The calls that lead to the present state.
  [[nodiscard]] const std::vector<SessionCall>& effective() const { return done_; }

 private:
  Session& session_;
  std::int64_t shape_[3];
  std::vector<SessionCall> done_, undone_;
};

}  // namespace medsam::testing
