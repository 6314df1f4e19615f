// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A click or a stroke for weights that know boxes only: the object is looked for with many boxes round it. The rules
// and what they are worth are in docs/interaction.md.
#include <algorithm>
#include <cmath>

#include "session/answers.hpp"
#include "session/correction.hpp"
#include "session/rated_frame.hpp"

namespace medsam::session {

namespace {

// A click: squares from a fortieth to three quarters of the frame's longer side.
constexpr int kSquares = 12;
constexpr double kSmallest = 1.0 / 40, kLargest = 3.0 / 4;
// A stroke: multiples of its length, and shapes.
constexpr int kLengths = 6;
constexpr double kShortest = 1.05, kLongest = 3, kShapes[] = {0.4, 0.7, 1.0};
constexpr double kContrastPower = 0.7, kClickContrastPower = 0.8;

double geometric(double first, double last, int count, int i) {
  return first * std::pow(last / first, static_cast<double>(i) / (count - 1));
}

std::int64_t rounded(double v) { return static_cast<std::int64_t>(std::nearbyint(v)); }

void add_new(std::vector<FrameBox>& boxes, const FrameBox& box) {
  if (std::find(boxes.begin(), boxes.end(), box) == boxes.end()) boxes.push_back(box);
}

std::vector<FrameBox> squares_round(const FrameGeometry& frame, const PlanePixel& click) {
  const auto longer = static_cast<double>(std::max(frame.rows(), frame.columns()));
  std::vector<FrameBox> boxes;
  for (int i = 0; i < kSquares; ++i) {
    const double half = geometric(kSmallest, kLargest, kSquares, i) * longer / 2;
    const auto x = static_cast<double>(click.x), y = static_cast<double>(click.y);
    add_new(boxes, {std::max<std::int64_t>(0, rounded(x - half)), std::max<std::int64_t>(0, rounded(y - half)),
                    std::min(frame.columns() - 1, rounded(x + half)), std::min(frame.rows() - 1, rounded(y + half))});
  }
  return boxes;
}

/// Boxes that hold a stroke and at least a pixel more on each side, where the frame has one.
std::vector<FrameBox> boxes_round(const FrameGeometry& frame, const FrameStroke& stroke) {
  FrameBox s{frame.columns(), frame.rows(), -1, -1};
  for (const PlanePixel& p : stroke.pixels) {
    s = {std::min(s.x0, p.x), std::min(s.y0, p.y), std::max(s.x1, p.x), std::max(s.y1, p.y)};
  }
  const auto wide = static_cast<double>(s.x1 - s.x0 + 1), high = static_cast<double>(s.y1 - s.y0 + 1);
  const double length = std::max(wide, high);
  const double least = static_cast<double>(std::max(frame.rows(), frame.columns())) * kSmallest;
  const double x = static_cast<double>(s.x0 + s.x1) / 2, y = static_cast<double>(s.y0 + s.y1) / 2;
  std::vector<FrameBox> boxes;
  for (int i = 0; i < kLengths; ++i) {
    for (const double shape : kShapes) {
      const double along = geometric(kShortest, kLongest, kLengths, i) * length;
      const double across = std::max(along * shape, std::min(wide, high) + 2);
      const double half_x = std::max(least, wide >= high ? along : across) / 2;
      const double half_y = std::max(least, wide >= high ? across : along) / 2;
      add_new(boxes, {std::max<std::int64_t>(0, std::min(s.x0 - 1, rounded(x - half_x))),
                      std::max<std::int64_t>(0, std::min(s.y0 - 1, rounded(y - half_y))),
                      std::min(frame.columns() - 1, std::max(s.x1 + 1, rounded(x + half_x))),
                      std::min(frame.rows() - 1, std::max(s.y1 + 1, rounded(y + half_y)))});
    }
  }
  return boxes;
}

double score(const Judged& judged, bool stroke) {
  const double power = stroke ? kContrastPower : kClickContrastPower;
  const double common = judged.rating * judged.sharpness * judged.depth * std::pow(judged.contrast, power);
  return stroke ? common * judged.covered * judged.covered : common;
}

/// An answer to one of the boxes.
struct Candidate {
  Hypotheses answers;  // of its batch
  std::int64_t n = 0;  // among those
  FrameBox box;
  Judged judged;
};

/// Decodes boxes and adds what was answered to `all`.
void decode(const Answering& with, const RatedFrame& frame, const FrameStroke& stroke,
            const std::vector<FrameBox>& boxes, std::vector<Candidate>& all) {
  std::vector<Box> plane_boxes;
  plane_boxes.reserve(boxes.size());
  for (const FrameBox& box : boxes) plane_boxes.push_back(frame.geometry().plane_box(box));
  const Hypotheses answers = with.model.boxes(with.plane, plane_boxes);
  for (std::int64_t n = 0; n < answers.size(); ++n) {
    Judged judged = frame.judge(answers, n, stroke);
    judged.score = judged.holds ? score(judged, stroke.pixels.size() > 1) : judged.rating;
    all.push_back({answers, n, boxes[static_cast<std::size_t>(n)], std::move(judged)});
  }
}

/// The best answer: any that holds the stroke's middle before any that does not, among those the higher score, else
/// the higher rating; the earlier on a tie.
const Candidate& best_of(const std::vector<Candidate>& all) {
  const Candidate* best = &all.front();
  for (const Candidate& other : all) {
    const Judged &a = other.judged, &b = best->judged;
    if (a.holds != b.holds ? a.holds : a.score > b.score) best = &other;
  }
  return *best;
}

}  // namespace

Answer answer_stroke(const Answering& with, const std::vector<PlanePoint>& points) {
  const std::vector<PlanePixel> drawn = pixels_of_line(with.pixels.grid(), with.plane, points);
  const RatedFrame frame(with);
  const FrameStroke stroke = frame.geometry().stroke(drawn);
  std::vector<Candidate> all;
  if (stroke.pixels.size() > 1) {
    decode(with, frame, stroke, boxes_round(frame.geometry(), stroke), all);
  } else {
    const std::vector<FrameBox> squares = squares_round(frame.geometry(), stroke.middle());
    decode(with, frame, stroke, squares, all);
    std::vector<FrameBox> tight;
    for (const Candidate& found : all) {
      const bool known = std::find(squares.begin(), squares.end(), found.judged.box) != squares.end();
      if (found.judged.holds && !known) add_new(tight, found.judged.box);
    }
    if (!tight.empty()) decode(with, frame, stroke, tight, all);
    std::vector<Judged*> holding;
    for (Candidate& found : all) {
      if (found.judged.holds) holding.push_back(&found.judged);
    }
    favor_agreement(holding);
  }
  const Candidate& best = best_of(all);
  Answer answer{best.answers.mask(best.n), frame.geometry().plane_box(best.box)};
  const PlanePixel& middle = drawn[drawn.size() / 2];
  if (answer.mask.at(middle.x, middle.y) == 0) {  // no box found the pixel: the best answer is corrected there
    const PixelRegion part = part_round(answer.mask, {middle});
    Probability now = probability_of(part, best.answers.logits(best.n, part));
    agree(answer.mask, now);
    correct(with.pixels, with.plane, {{middle.x, middle.y, true, reach_of(now, middle.x, middle.y)}}, now);
    write(now, answer.mask);
  }
  answer.mask = connected_part(answer.mask, middle.x, middle.y);
  return answer;
}

}  // namespace medsam::session
