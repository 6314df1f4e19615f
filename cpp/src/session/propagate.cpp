// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Session::propagate: which planes, and what becomes of them.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "base/number_text.hpp"
#include "medsam/error.hpp"
#include "session/residuals.hpp"
#include "session/sections.hpp"
#include "session/session_impl.hpp"
#include "volume/fused_logits.hpp"

namespace medsam {

using session::KeyBoxes;
using session::Object;
using session::PlaneMask;
using session::PlaneSpan;

namespace {

/// What an object's prompts say about the planes of an axis.
struct Keys {
  std::set<std::int64_t> planes;             // with prompts
  KeyBoxes boxes;                            // those that the model was asked with
  std::map<std::int64_t, PlaneMask> before;  // of planes that were corrected: until then
  std::optional<session::Mask> whole;        // the answer to a prompt of the whole object
};

Keys keys_of(const Object& object, int axis) {
  Keys keys;
  keys.boxes.axis = axis;
  for (const session::PromptPtr& given : object.prompts) {
    const session::SessionPrompt& prompt = *given;
    if (prompt.whole()) {
      keys.whole = prompt.base;
      continue;
    }
    const std::int64_t index = prompt.plane.index;
    if (prompt.plane.axis != axis) continue;
    keys.planes.insert(index);
    if (const std::optional<Box> box = prompt.asked_box()) {
      keys.boxes.boxes[index] = *box;
      keys.before.erase(index);
    }
    if (prompt.before) keys.before.emplace(index, prompt.before->pixels(prompt.plane));
  }
  if (!keys.whole && keys.boxes.boxes.empty()) {  // points that the weights know
    for (const std::int64_t index : keys.planes) {
      if (const auto box = object.mask.pixels({axis, index}).bounds()) keys.boxes.boxes[index] = *box;
    }
  }
  return keys;
}

void check_options(const session::Grid& grid, const PropagateOptions& options) {
  if (options.axis < 0 || options.axis > 2) {
    throw InvalidArgument("propagate: got axis " + std::to_string(options.axis) + ", expected 0 (z), 1 (y) or 2 (x)");
  }
  if (options.direction > PropagateDirection::down) {
    throw InvalidArgument("propagate: got direction " + std::to_string(static_cast<int>(options.direction)) +
                          ", expected both, up or down");
  }
  const std::int64_t last = grid.shape[options.axis] - 1;
  const std::int64_t from = options.first.value_or(0), to = options.last.value_or(last);
  if (from < 0 || to > last || from > to) {
    throw InvalidArgument("propagate: got planes " + std::to_string(from) + " to " + std::to_string(to) +
                          ", expected a range within 0 to " + std::to_string(last));
  }
  const auto check = [](const std::optional<double>& value, const char* what) {
    if (!value || *value >= 0) return;
    throw InvalidArgument(std::string("propagate: got ") + what + " " + number_text(*value) + ", expected 0 or more");
  };
  check(options.distance, "distance");
  check(options.seconds, "seconds");
}

/// How far the object goes beyond the outermost boxes: to the planes that the caller names, else the distance that the
/// caller gives, else as far as the boxes' sizes let one expect.
void set_reach(const session::Grid& grid, const PropagateOptions& options, KeyBoxes& keys) {
  const auto& [first, lowest] = *keys.boxes.begin();
  const auto& [last, highest] = *keys.boxes.rbegin();
  const auto beyond = [&](const std::optional<std::int64_t>& end, std::int64_t planes, const Box& box) {
    if (end) return std::max(0.5, static_cast<double>(planes) + 0.5);
    if (options.distance) return *options.distance / grid.spacing[options.axis] + 0.5;
    return reach_beyond(grid, options.axis, box);
  };
  keys.below = beyond(options.first, first - options.first.value_or(0), lowest);
  keys.above = beyond(options.last, options.last.value_or(0) - last, highest);
}

/// The planes that may be written.
PlaneSpan writable(const session::Grid& grid, const PropagateOptions& options, const Keys& keys) {
  PlaneSpan span{options.first.value_or(0), options.last.value_or(grid.shape[options.axis] - 1)};
  if (options.distance) {
    const double most = static_cast<double>(grid.shape[options.axis]);
    const auto planes =
        static_cast<std::int64_t>(std::min(most, std::floor(*options.distance / grid.spacing[options.axis])));
    span.first = std::max(span.first, *keys.planes.begin() - planes);
    span.last = std::min(span.last, *keys.planes.rbegin() + planes);
  }
  if (options.direction == PropagateDirection::up) span.first = std::max(span.first, *keys.planes.begin());
  if (options.direction == PropagateDirection::down) span.last = std::min(span.last, *keys.planes.rbegin());
  return span;
}

/// Ends a call that the caller cancels, or whose time is over.
class Limits {
 public:
  explicit Limits(const PropagateOptions& options) : options_(options), begin_(std::chrono::steady_clock::now()) {}

  void check_cancelled() const {
    if (options_.cancelled && options_.cancelled()) throw Cancelled("propagate: cancelled by the caller");
  }
  [[nodiscard]] bool in_time() const {
    if (!options_.seconds) return true;
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count() < *options_.seconds;
  }
  void report(std::int64_t done, std::int64_t total) const {
    if (options_.progress) options_.progress({done, total});
  }

 private:
  const PropagateOptions& options_;
  std::chrono::steady_clock::time_point begin_;
};

/// How far the object reaches. A plane that was corrected beyond the reach of the boxes becomes one of them, with the
/// box of its mask, so that the object is in one piece.
PlaneSpan reach(const session::Grid& grid, const PropagateOptions& options, const Object& object, Keys& keys) {
  set_reach(grid, options, keys.boxes);
  PlaneSpan span = keys.boxes.span(grid);
  for (const std::int64_t index : keys.planes) {
    if (index >= span.first && index <= span.last) continue;
    const auto box = object.mask.pixels({options.axis, index}).bounds();
    if (!box) continue;
    keys.boxes.boxes[index] = *box;
    set_reach(grid, options, keys.boxes);
    span = keys.boxes.span(grid);
  }
  return span;
}

/// Which planes an object has, and what becomes of those that are reached.
class Carried {
 public:
  /// `planes`: how many the object has. `given`: whether take() will be called with a plane, if the time lasts. `kept`:
  /// what the object cannot have.
  Carried(const session::Grid& grid, const PropagateOptions& options, const Limits& limits, const Object& object,
          const Keys& keys, std::int64_t planes, const std::function<bool(std::int64_t)>& given,
          std::vector<session::Mask> kept)
      : grid_(grid),
        options_(options),
        limits_(limits),
        object_(object),
        keys_(keys),
        written_(writable(grid, options, keys)),
        residuals_(planes),
        kept_(std::move(kept)) {
    for (const auto& [index, mask] : keys.before) {
      if (answers_a_box(index) || !given(index)) continue;
      awaited_.insert(index);
    }
  }

  /// Keeps the mask of a plane. Once every plane with corrections was given, what they change is carried to this and
  /// all other planes, and the caller is told of each. Returns whether the caller wants more.
  bool take(std::int64_t index, const PlaneMask& uncorrected) {
    awaited_.erase(index);
    PlaneMask& mask = masks_[index];
    if (writes(index) || keys_.before.count(index) != 0) mask = uncorrected;
    waiting_.push_back(index);
    ++given_;
    return !awaited_.empty() || carry();
  }
  /// How many planes were given.
  [[nodiscard]] std::int64_t count() const { return given_; }

  /// Writes the planes that were given, of which the caller has been told. `asked`: how many there were to be; if all
  /// were given, those without a mask are known to have nothing of the object.
  void write(session::Mask& out, std::int64_t asked) {
    carry();
    const PlaneMask nothing(grid_, options_.axis);
    for (std::int64_t index = written_.first; index <= written_.last; ++index) {
      if (!writes(index)) continue;
      const auto found = masks_.find(index);
      const Plane plane{options_.axis, index};
      if (found != masks_.end()) {
        out.set_plane(plane, found->second);
      } else if (static_cast<std::int64_t>(masks_.size()) == asked && out.any(plane)) {
        out.set_plane(plane, nothing);
      }
    }
  }

 private:
  [[nodiscard]] bool writes(std::int64_t index) const {
    return index >= written_.first && index <= written_.last && keys_.planes.count(index) == 0;  // keys stay
  }

  [[nodiscard]] bool answers_a_box(std::int64_t index) const { return keys_.boxes.boxes.count(index) != 0; }

  /// What a plane with corrections had without any: `before` them it may have had what an earlier propagation carried
  /// to it, which belongs to what the corrections change. The answer to a box of the plane itself has nothing of that.
  [[nodiscard]] const PlaneMask& uncorrected(std::int64_t index, const PlaneMask& before) const {
    const auto mask = masks_.find(index);
    return mask == masks_.end() || answers_a_box(index) ? before : mask->second;
  }

  /// Corrects the planes that are waiting and tells of them. If the caller wants no more, the rest is forgotten.
  bool carry() {
    if (!carries_) {
      for (const auto& [index, mask] : keys_.before) {
        residuals_.add(index, uncorrected(index, mask), object_.mask.pixels({options_.axis, index}));
      }
      carries_ = true;
    }
    for (const std::int64_t index : std::exchange(waiting_, {})) {
      if (!more_) masks_.erase(index);
      if (!more_ || !writes(index)) continue;
      limits_.check_cancelled();
      PlaneMask& mask = masks_[index];
      if (!keys_.before.empty()) mask = residuals_.applied(index, mask);
      if (options_.reached) more_ = told(index, mask);
    }
    return more_;
  }

  [[nodiscard]] bool told(std::int64_t index, const PlaneMask& mask) const {
    const Plane plane{options_.axis, index};
    session::Mask alone(grid_);
    alone.set_plane(plane, mask);
    for (const session::Mask& taken : kept_) alone.subtract(taken);
    PlaneMask shown = alone.pixels(plane);
    return options_.reached(index, {shown.values.data(), LabelType::u8, shown.rows, shown.columns, shown.columns});
  }

  const session::Grid& grid_;
  const PropagateOptions& options_;
  const Limits& limits_;
  const Object& object_;
  const Keys& keys_;
  PlaneSpan written_;
  session::Residuals residuals_;
  std::vector<session::Mask> kept_;
  std::map<std::int64_t, PlaneMask> masks_;  // of the planes that were reached; empty where nothing needs it
  std::set<std::int64_t> awaited_;           // planes with corrections that are still to be given
  std::vector<std::int64_t> waiting_;        // given, and not told of
  std::int64_t given_ = 0;
  bool carries_ = false;  // what the corrections change is known
  bool more_ = true;      // the caller wants more
};

}  // namespace

VoxelBox Session::Impl::propagate(const std::string& name, const PropagateOptions& given) {
  const session::Grid& grid = pixels.grid();
  check_options(grid, given);
  static_cast<void>(existing(name));
  Object object = editable(name);
  Keys keys = keys_of(object, given.axis);
  if (keys.planes.empty() || (!keys.whole && keys.boxes.boxes.empty())) {
    throw InvalidArgument("propagate: got an object without a prompt that found something in a plane of axis " +
                          std::to_string(given.axis) +
                          ", expected one; add a box or a click in one of its planes first");
  }
  const Limits limits(given);
  limits.check_cancelled();
  ahead.focus({given.axis, *keys.planes.begin()});
  if (keys.whole) {
    std::vector<std::int64_t> planes;
    for (std::int64_t i = 0; i < grid.shape[given.axis]; ++i) {
      if (keys.whole->any({given.axis, i})) planes.push_back(i);
    }
    const auto count = static_cast<std::int64_t>(planes.size());
    Carried carried(
        grid, given, limits, object, keys, count,
        [&](std::int64_t i) {
          return keys.whole->any({given.axis, i});
        },
        kept_from(name));
    for (const std::int64_t i : planes) {
      if (!carried.take(i, keys.whole->pixels({given.axis, i})) || !limits.in_time()) break;
    }
    carried.write(object.mask, count);
    return commit(std::move(object));
  }
  const PlaneSpan whole = reach(grid, given, object, keys), written = writable(grid, given, keys);
  // Smoothing looks at some planes beyond those that are written, and no farther.
  const std::int64_t radius = SmoothedPlanes::radius(sections.smooth_slices);
  const PlaneSpan span{std::max(whole.first, written.first - radius), std::min(whole.last, written.last + radius)};
  Carried carried(
      grid, given, limits, object, keys, whole.last - whole.first + 1,
      [&](std::int64_t i) { return i >= span.first && i <= span.last; }, kept_from(name));
  const std::int64_t asked = std::max<std::int64_t>(0, span.last - span.first + 1);
  if (asked > 0) {
    session::section_masks(
        model, grid, keys.boxes, span, sections, [&] { limits.check_cancelled(); },
        [&](std::int64_t index, const PlaneMask& mask) {
          limits.check_cancelled();  // the planes around one are asked about together
          const bool more = carried.take(index, mask);
          limits.report(carried.count(), asked);
          return more && limits.in_time();
        });
  }
  carried.write(object.mask, asked);
  return commit(std::move(object));
}

}  // namespace medsam
