// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The mask of a plane after a click or a scribble that corrects it, from the object's prompts there.
#include <algorithm>
#include <cmath>

#include "session/answers.hpp"
#include "session/correction.hpp"
#include "session/distance.hpp"

namespace medsam::session {

namespace {

constexpr float kSharpness = 2;      // logits are divided by it before they become probabilities
constexpr float kBeside = 1e-3f;     // how far from 0.5 a pixel is put that the mask says otherwise of
constexpr double kStrokeStep = 0.5;  // of the reach: from one click of a scribble to the next

Probability probability_of(const PlaneMask& plane, const std::vector<float>& logits) {
  Probability now{plane.rows, plane.columns, {}};
  now.values.reserve(logits.size());
  for (const float v : logits) now.values.push_back(1 / (1 + std::exp(-v / kSharpness)));
  return now;
}

/// Makes the probability say what the mask says, changing it as little as possible.
void agree(const PlaneMask& mask, Probability& now) {
  for (std::size_t i = 0; i < now.values.size(); ++i) {
    float& v = now.values[i];
    if (mask.values[i] != 0 && !(v > 0.5f)) v = 0.5f + kBeside;
    if (mask.values[i] == 0 && v > 0.5f) v = 0.5f - kBeside;
  }
}

PixelRegion whole(const PlaneMask& plane) { return {0, 0, plane.columns, plane.rows}; }

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

}  // namespace

Answer corrected(const Answering& with, const PlaneMask& before, const std::vector<SessionPrompt>& prompts) {
  // From the last prompt that the model was asked with, the corrections follow one another.
  std::size_t first = prompts.size() - 1;
  while (first > 0 && !prompts[first - 1].asked_box()) --first;
  Probability now;
  if (first > 0) {
    const Box box = *prompts[first - 1].asked_box();
    now = probability_of(before, with.model.boxes(with.plane, {box}).logits(0, whole(before)));
  } else {
    now = probability_of(before, signed_distance(before));
  }
  std::vector<Correction> clicks;
  for (std::size_t i = first; i + 1 < prompts.size(); ++i) apply_stroke(with, prompts[i], clicks, now);
  // The mask may have been changed otherwise meanwhile: in a plane across, or by an object that is locked.
  agree(before, now);
  apply_stroke(with, prompts.back(), clicks, now);
  Answer answer{PlaneMask(before.rows, before.columns), std::nullopt};
  for (std::size_t i = 0; i < now.values.size(); ++i) answer.mask.values[i] = now.values[i] > 0.5f ? 1 : 0;
  return answer;
}

}  // namespace medsam::session
