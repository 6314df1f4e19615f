// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// How the prompts of one plane are answered by what the weights know. Pure: the same arguments give the same mask.
#pragma once

#include <optional>
#include <vector>

#include "session/hypotheses.hpp"
#include "session/mask.hpp"
#include "session/state.hpp"

namespace medsam::session {

/// A mask, and the box that the model was asked with for it, where that is not one that the user gave.
struct Answer {
  PlaneMask mask;
  std::optional<Box> box;
};

/// What a plane's prompts are answered with.
struct Answering {
  const PlaneModel& model;
  const Pixels& pixels;
  Plane plane;
};

/// The mask of a box with ends inside the plane.
Answer answer_box(const Answering& with, const Box& box);

/// The object whose longest diameter runs from one point to the other: the best-rated of the boxes round ellipses with
/// that long axis.
Answer answer_line(const Answering& with, const PlanePoint& from, const PlanePoint& to);

/// The object inside an outline: the mask of the outline's box, without what lies outside of the outline.
Answer answer_lasso(const Answering& with, const std::vector<PlanePoint>& outline);

/// The model's own mask for the boxes and clicks of a plane, in their order; nothing where the weights were not trained
/// with such a prompt, where there is another kind of prompt among them, or where the mask is not as the last click
/// says. Weights that know masks beside such prompts get each one with the logits of the answer before it, as SAM's
/// predictor is used; `initial`, where it is given, is the first of these, and only such weights answer.
std::optional<PlaneMask> answer_natively(const Answering& with, const std::vector<SessionPrompt>& prompts,
                                         const std::optional<PlaneMask>& initial = std::nullopt);

/// The object on which a click or a line lies, for weights that know boxes: a search over boxes.
Answer answer_stroke(const Answering& with, const std::vector<PlanePoint>& stroke);

/// A positive click or scribble where the object has nothing: the weights' own answer, or that of a search over boxes.
Answer answer_first(const Answering& with, const SessionPrompt& stroke);

/// The mask after a click or a scribble on an object that has a mask in the plane. `prompts` are the object's in the
/// plane, in their order; the last one is the correction. `initial` is the plane of the mask that the object was given,
/// if it began with one. Weights that know points answer all clicks themselves, as long as the mask is their own answer
/// to the prompts before, or the initial one.
Answer corrected(const Answering& with, const PlaneMask& before, const std::vector<SessionPrompt>& prompts,
                 const std::optional<PlaneMask>& initial);

/// The pixels inside a closed line (even-odd rule), those on the line too.
PlaneMask inside_outline(const Grid& grid, int axis, const std::vector<PlanePoint>& outline);

/// The pixels that a line through the points runs over.
std::vector<PlanePixel> pixels_of_line(const Grid& grid, const Plane& plane, const std::vector<PlanePoint>& line);

}  // namespace medsam::session
