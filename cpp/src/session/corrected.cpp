// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The mask of a plane after a click or a scribble that corrects it, from the object's prompts there.
#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "session/answers.hpp"
#include "session/correction.hpp"
#include "session/distance.hpp"

namespace medsam::session {

namespace {

constexpr double kStrokeStep = 0.5;  // of the reach: from one click of a scribble to the next

/// The part of a plane that the strokes of these prompts read and change.
PixelRegion part_of(const Answering& with, const PlaneMask& plane, const std::vector<SessionPrompt>& prompts,
                    std::size_t first) {
  std::vector<PlanePixel> drawn;
  for (std::size_t i = first; i < prompts.size(); ++i) {
    const std::vector<PlanePixel> line = pixels_of_line(with.pixels.grid(), with.plane, prompts[i].points);
    drawn.insert(drawn.end(), line.begin(), line.end());
  }
  return part_round(plane, drawn);
}

/// Distances in place of logits, where no answer of the model lies behind the mask.
std::vector<float> distances(const PlaneMask& mask, const PixelRegion& part) {
  const std::vector<float> whole = signed_distance(mask);
  std::vector<float> values;
  for (std::int64_t y = part.y0; y < part.y1; ++y) {
    const float* row = whole.data() + y * mask.columns;
    values.insert(values.end(), row + part.x0, row + part.x1);
  }
  return values;
}

/// The pixels of a stroke that act as clicks: the first, and then each that lies farther from the one before than half
/// of that one's reach.
void apply_stroke(const Answering& with, const SessionPrompt& prompt, std::vector<Correction>& clicks,
                  Probability& now) {
  bool first = true;
  for (const PlanePixel& pixel : pixels_of_line(with.pixels.grid(), with.plane, prompt.points)) {
    if (!first) {
      const Correction& last = clicks.back();
      if (std::hypot(pixel.x - last.x, pixel.y - last.y) < kStrokeStep * last.radius) continue;
      if ((now.at(pixel.x, pixel.y) > 0.5f) == prompt.positive) continue;  // right already
    }
    first = false;
    clicks.push_back({pixel.x, pixel.y, prompt.positive, reach_of(now, pixel.x, pixel.y)});
    correct(with.pixels, with.plane, clicks, now);
  }
}

/// The model's own answer to all prompts, where its weights know them and the mask so far is its own answer, too.
std::optional<PlaneMask> corrected_natively(const Answering& with, const PlaneMask& before,
                                            const std::vector<SessionPrompt>& prompts,
                                            const std::optional<PlaneMask>& initial) {
  std::optional<PlaneMask> mask = answer_natively(with, prompts, initial);
  if (!mask || (prompts.size() < 2 && !initial)) return std::nullopt;
  const std::optional<PlaneMask> earlier =
      prompts.size() < 2 ? initial : answer_natively(with, {prompts.begin(), prompts.end() - 1}, initial);
  return earlier && earlier->values == before.values ? std::move(mask) : std::nullopt;
}

}  // namespace

Answer corrected(const Answering& with, const PlaneMask& before, const std::vector<SessionPrompt>& prompts,
                 const std::optional<PlaneMask>& initial) {
  if (std::optional<PlaneMask> mask = corrected_natively(with, before, prompts, initial)) {
    return {std::move(*mask), std::nullopt};
  }
  // From the last prompt that the model was asked with, the corrections follow one another.
  std::size_t first = prompts.size() - 1;
  while (first > 0 && !prompts[first - 1].asked_box()) --first;
  const PixelRegion part = part_of(with, before, prompts, first);
  Probability now =
      probability_of(part, first > 0 ? with.model.boxes(with.plane, {*prompts[first - 1].asked_box()}).logits(0, part)
                                     : distances(before, part));
  std::vector<Correction> clicks;
  for (std::size_t i = first; i + 1 < prompts.size(); ++i) apply_stroke(with, prompts[i], clicks, now);
  // The mask may have been changed otherwise meanwhile: in a plane across, or by an object that is locked.
  // Earlier clicks whose pixel is of the other kind by now no longer hold.
  agree(before, now);
  clicks.erase(std::remove_if(clicks.begin(), clicks.end(),
                              [&](const Correction& c) { return (now.at(c.x, c.y) > 0.5f) != c.positive; }),
               clicks.end());
  apply_stroke(with, prompts.back(), clicks, now);
  PlaneMask mask = before;
  write(now, mask);
  return {std::move(mask), std::nullopt};
}

}  // namespace medsam::session
