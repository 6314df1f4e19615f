// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "session/answers.hpp"

#include <algorithm>
#include <cmath>

#include "prompt/prompt_tokens.hpp"

namespace medsam::session {

namespace {

Box clamped(const PlaneMask& plane, double x0, double y0, double x1, double y1) {
  const auto columns = static_cast<double>(plane.columns - 1), rows = static_cast<double>(plane.rows - 1);
  return {std::clamp(x0, 0.0, columns), std::clamp(y0, 0.0, rows), std::clamp(x1, 0.0, columns),
          std::clamp(y1, 0.0, rows)};
}

/// Boxes and clicks of a plane as one prompt of the model.
struct NativePrompt {
  std::vector<PlanePoint> positive, negative;
  std::optional<Box> box;

  /// False for another kind of prompt.
  bool add(const SessionPrompt& prompt) {
    if (prompt.kind == PromptKind::click) {
      (prompt.positive ? positive : negative).push_back(prompt.points.front());
      return true;
    }
    if (prompt.kind != PromptKind::box) return false;
    box = prompt.asked_box();
    return true;
  }
  [[nodiscard]] PromptKinds kinds() const {
    const PromptKinds points = positive.empty() && negative.empty() ? PromptKinds::none : PromptKinds::points;
    return box ? points | PromptKinds::box : points;
  }
  [[nodiscard]] Hypotheses answer(const Answering& with, const std::vector<float>& carried) const {
    return with.model.prompt(with.plane, positive, negative, box, carried);
  }
};

/// Whether each answer can be handed to the next prompt: the weights know every prompt on the way, with what it
/// carries.
bool carries_each(const Answering& with, const std::vector<SessionPrompt>& prompts,
                  const std::optional<PlaneMask>& initial) {
  // Every click asks all prompts of its plane again, so that replay gives the same masks: what it takes grows with
  // them.
  constexpr std::size_t kMostCarried = 32;
  if (prompts.size() > kMostCarried || (prompts.size() == 1 && !initial)) return false;
  NativePrompt asked;
  bool carried = initial.has_value();
  for (const SessionPrompt& prompt : prompts) {
    if (!asked.add(prompt)) return false;
    if (!with.model.knows(carried ? asked.kinds() | PromptKinds::mask : asked.kinds())) return false;
    carried = true;
  }
  return true;
}

}  // namespace

Answer answer_box(const Answering& with, const Box& box) {
  return {with.model.box_mask(with.plane, box, with.pixels), std::nullopt};
}

std::optional<PlaneMask> answer_natively(const Answering& with, const std::vector<SessionPrompt>& prompts,
                                         const std::optional<PlaneMask>& initial) {
  if (prompts.size() > kMostPromptPoints) return std::nullopt;
  NativePrompt all;
  for (const SessionPrompt& prompt : prompts) {
    if (!all.add(prompt)) return std::nullopt;
  }
  const bool carries = carries_each(with, prompts, initial);
  if (initial ? !carries : !with.model.knows(all.kinds())) return std::nullopt;
  std::optional<PlaneMask> mask;
  if (all.kinds() == PromptKinds::box && !initial) {
    mask = with.model.box_mask(with.plane, *all.box, with.pixels);
  } else if (!carries) {
    mask = all.answer(with, {}).mask(0);
  } else {
    NativePrompt asked;
    std::vector<float> carried;
    if (initial) carried = with.model.carried(with.plane, *initial);
    for (const SessionPrompt& prompt : prompts) {
      static_cast<void>(asked.add(prompt));
      const Hypotheses answer = asked.answer(with, carried);
      carried = answer.carried(0);
      mask = answer.mask(0);
    }
  }
  const SessionPrompt& last = prompts.back();
  if (last.kind == PromptKind::click) {
    const PlanePixel pixel = pixel_of(with.pixels.grid(), with.plane, last.points.front());
    if ((mask->at(pixel.x, pixel.y) != 0) != last.positive) return std::nullopt;
  }
  return mask;
}

Answer answer_first(const Answering& with, const SessionPrompt& stroke) {
  if (auto mask = answer_natively(with, {stroke})) return {std::move(*mask), std::nullopt};
  return answer_stroke(with, stroke.points);
}

Answer answer_line(const Answering& with, const PlanePoint& from, const PlanePoint& to) {
  // The half sides of the box around an ellipse with half axes a and b, a in the direction (cos t, sin t), are
  // sqrt(a^2 cos^2 t + b^2 sin^2 t) and sqrt(a^2 sin^2 t + b^2 cos^2 t), in mm: the axes are perpendicular there, and
  // not in a plane whose pixels are not square.
  constexpr double kShortToLong[] = {0.5, 0.65, 0.8, 1.0};
  const double dx = (to.x - from.x) / 2, dy = (to.y - from.y) / 2;
  const double x = (from.x + to.x) / 2, y = (from.y + to.y) / 2;
  const Grid& grid = with.pixels.grid();
  const double tall = grid.row_spacing(with.plane.axis) / grid.column_spacing(with.plane.axis);
  const PlaneMask plane(grid, with.plane.axis);
  std::vector<Box> boxes;
  for (const double share : kShortToLong) {
    const double across = std::hypot(dx, dy * tall * share), down = std::hypot(dy, dx / tall * share);
    boxes.push_back(
        clamped(plane, std::floor(x - across), std::floor(y - down), std::ceil(x + across), std::ceil(y + down)));
  }
  const Hypotheses answers = with.model.boxes(with.plane, boxes);
  std::int64_t best = 0;
  for (std::int64_t n = 1; n < answers.size(); ++n) {
    if (answers.rating(n) > answers.rating(best)) best = n;
  }
  return {answers.mask(best), boxes[static_cast<std::size_t>(best)]};
}

Answer answer_lasso(const Answering& with, const std::vector<PlanePoint>& outline) {
  // People draw outside of the edge: the box is a little smaller than the outline's.
  constexpr double kShrink = 0.05;     // of the box's shorter side, on each side
  constexpr double kLeastShare = 0.5;  // of the outline's area; below, the outline itself is the better answer
  const PlaneMask inside = inside_outline(with.pixels.grid(), with.plane.axis, outline);
  const Box drawn = *inside.bounds();  // the outline itself is in it
  const double by = kShrink * std::min(drawn.x1 - drawn.x0, drawn.y1 - drawn.y0);
  const Box box{drawn.x0 + by, drawn.y0 + by, drawn.x1 - by, drawn.y1 - by};
  Answer answer = answer_box(with, box);
  for (std::size_t i = 0; i < answer.mask.values.size(); ++i) {
    answer.mask.values[i] = static_cast<std::uint8_t>(answer.mask.values[i] & inside.values[i]);
  }
  if (static_cast<double>(answer.mask.area()) < kLeastShare * static_cast<double>(inside.area())) answer.mask = inside;
  answer.box = box;
  return answer;
}

}  // namespace medsam::session
