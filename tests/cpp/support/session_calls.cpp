// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "support/session_calls.hpp"

#include <algorithm>
#include <limits>

#include "medsam/error.hpp"

namespace medsam::testing {

namespace {

using Below = std::function<std::uint32_t(std::uint32_t)>;

/// Mostly inside 0 to size - 1, in quarters; now and then something else.
double coordinate(std::int64_t size, const Below& below) {
  if (below(64) == 0) {
    constexpr double kOdd[] = {
        -1, -0.5, 1e9, -1e300, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()};
    return kOdd[below(6)];
  }
  return below(static_cast<std::uint32_t>(4 * (size - 1) + 1)) / 4.0;
}

std::int64_t index(std::int64_t size, const Below& below) {
  return below(64) == 0 ? static_cast<std::int64_t>(below(4)) * size - 1 : below(static_cast<std::uint32_t>(size));
}

void draw_box_3d(SessionCall& call, const std::int64_t (&shape)[3], const Below& below) {
  double low[3], high[3];
  for (int axis = 0; axis < 3; ++axis) {
    low[axis] = static_cast<double>(index(shape[axis], below));
    high[axis] = static_cast<double>(index(shape[axis], below));
    if (below(32) != 0 && high[axis] < low[axis]) std::swap(low[axis], high[axis]);
  }
  call.box = {low[2], low[1], low[0], high[2], high[1], high[0]};
}

void draw_mask(SessionCall& call, const std::int64_t (&shape)[3], const Below& below) {
  call.mask.assign(static_cast<std::size_t>(shape[0] * shape[1] * shape[2]), 0);
  const auto count = static_cast<std::uint32_t>(call.mask.size());
  for (std::uint32_t run = below(6); run > 0; --run) {
    const std::uint32_t first = below(count), length = below(100);
    std::fill(call.mask.begin() + first, call.mask.begin() + std::min(count, first + length), std::uint8_t{1});
  }
}

void draw_propagate(SessionCall& call, const std::int64_t (&shape)[3], const Below& below) {
  PropagateOptions& options = call.propagate;
  options.axis = call.plane.axis;
  options.direction = static_cast<PropagateDirection>(below(3));
  if (below(4) == 0) options.first = index(shape[std::clamp(options.axis, 0, 2)], below);
  if (below(4) == 0) options.last = index(shape[std::clamp(options.axis, 0, 2)], below);
  if (below(4) == 0) options.distance = below(12);
}

std::size_t point_count(SessionCallKind kind, const Below& below) {
  switch (kind) {
    case SessionCallKind::click:
      return 1;
    case SessionCallKind::box:
    case SessionCallKind::line:
      return 2;
    case SessionCallKind::scribble:
      return 1 + below(5);
    case SessionCallKind::lasso:
      return 3 + below(5);
    default:
      return 0;
  }
}

}  // namespace

SessionCall random_call(const std::int64_t (&shape)[3], const Below& below) {
  // Prompts more often than what ends them.
  constexpr SessionCallKind kOften[] = {SessionCallKind::box,   SessionCallKind::click, SessionCallKind::click,
                                        SessionCallKind::click, SessionCallKind::box,   SessionCallKind::propagate};
  SessionCall call;
  call.kind = below(2) == 0 ? kOften[below(6)]
                            : static_cast<SessionCallKind>(below(static_cast<std::uint32_t>(SessionCallKind::kinds)));
  call.object = below(32) == 0 ? "" : std::string(1, static_cast<char>('a' + below(3)));
  call.plane.axis = below(64) == 0 ? 3 : static_cast<int>(below(3));
  const int axis = std::min(call.plane.axis, 2);
  call.plane.index = index(shape[axis], below);
  call.flag = below(3) != 0;
  const std::int64_t rows = shape[axis == 0 ? 1 : 0], columns = shape[axis == 2 ? 1 : 2];
  for (std::size_t i = point_count(call.kind, below); i > 0; --i) {
    call.points.push_back({coordinate(columns, below), coordinate(rows, below)});
  }
  if (call.kind == SessionCallKind::box && below(32) != 0) {
    if (call.points[1].x < call.points[0].x) std::swap(call.points[0].x, call.points[1].x);
    if (call.points[1].y < call.points[0].y) std::swap(call.points[0].y, call.points[1].y);
  }
  if (call.kind == SessionCallKind::box_3d) draw_box_3d(call, shape, below);
  if (call.kind == SessionCallKind::mask) draw_mask(call, shape, below);
  if (call.kind == SessionCallKind::propagate) draw_propagate(call, shape, below);
  return call;
}

VoxelBox make_call(Session& session, const std::int64_t (&shape)[3], const SessionCall& call) {
  const std::vector<PlanePoint>& p = call.points;
  switch (call.kind) {
    case SessionCallKind::box:
      return session.add_box(call.object, Box{p[0].x, p[0].y, p[1].x, p[1].y}, call.plane);
    case SessionCallKind::box_3d:
      return session.add_box(call.object, call.box);
    case SessionCallKind::click:
      return session.add_click(call.object, p[0], call.flag, call.plane);
    case SessionCallKind::scribble:
      return session.add_scribble(call.object, p, call.flag, call.plane);
    case SessionCallKind::lasso:
      return session.add_lasso(call.object, p, call.plane);
    case SessionCallKind::line:
      return session.add_line(call.object, p[0], p[1], call.plane);
    case SessionCallKind::mask: {
      std::vector<std::uint8_t> mask = call.mask;
      return session.add_mask(
          call.object, {mask.data(), LabelType::u8, shape[0], shape[1], shape[2], shape[2], shape[1] * shape[2]});
    }
    case SessionCallKind::propagate:
      return session.propagate(call.object, call.propagate);
    case SessionCallKind::remove:
      return session.remove(call.object);
    case SessionCallKind::reset:
      return session.reset();
    case SessionCallKind::lock:
      session.lock(call.object, call.flag);
      return {};
    case SessionCallKind::undo:
      return session.undo();
    case SessionCallKind::redo:
      return session.redo();
    case SessionCallKind::kinds:
      break;
  }
  return {};
}

std::optional<VoxelBox> SessionPlayer::play(const SessionCall& call) {
  const std::int64_t undo_before = session_.undo_steps(), redo_before = session_.redo_steps();
  VoxelBox changed;
  try {
    changed = make_call(session_, shape_, call);
  } catch (const Error&) {
    return std::nullopt;
  }
  if (call.kind == SessionCallKind::undo) {
    if (undo_before > 0) {
      undone_.push_back(done_.back());
      done_.pop_back();
    }
  } else if (call.kind == SessionCallKind::redo) {
    if (redo_before > 0) {
      done_.push_back(undone_.back());
      undone_.pop_back();
    }
  } else if (session_.undo_steps() != undo_before) {
    done_.push_back(call);
    undone_.clear();
  }
  return changed;
}

}  // namespace medsam::testing
