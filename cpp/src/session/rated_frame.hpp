// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// How good an answer to one of many boxes is, judged without knowing the object: by the model's own rating, by how
// sharp its logits are, by where the click lies in the mask and by how unlike the pixels on both sides of the edge are.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "session/answers.hpp"

namespace medsam::session {

/// Whole pixels of a frame, ends inclusive.
struct FrameBox {
  std::int64_t x0 = 0, y0 = 0, x1 = -1, y1 = -1;
  bool operator==(const FrameBox&) const = default;
};

/// What the user drew, in the frame: at least one pixel, in the order drawn.
struct FrameStroke {
  std::vector<PlanePixel> pixels;
  /// The pixel that the object must contain: the one in the middle.
  [[nodiscard]] const PlanePixel& middle() const { return pixels[pixels.size() / 2]; }
};

/// An answer, judged. All is of the mask's part (4 neighbors) that holds the middle of the stroke.
struct Judged {
  bool holds = false;    // the middle of the stroke is in the mask; else only `rating` counts
  double rating = 0;     // q: the model's own estimate of the IoU
  double sharpness = 0;  // st: the area at a high threshold over that at a low one
  double depth = 0;      // dt: how deep the stroke's deepest pixel lies in the part, of the part's deepest
  double contrast = 0;   // f: difference of the means inside and outside of the edge over their deviations
  double covered = 0;    // the share of the stroke's pixels in the part
  FrameBox box;          // of the part
  PlaneMask part;        // (rows, columns) of the frame
  double score = 0;      // what the answers are compared by
};

/// Multiplies the score of each answer by how well its part agrees with the parts of all, itself among them, those of
/// high scores counting more: an object is found from many boxes, a chance edge from one, and of two answers of about
/// one score it is not the rounding of their logits that decides. All hold the middle of the stroke.
void favor_agreement(const std::vector<Judged*>& answers);

/// Where the pixels of a plane lie among the model's logits that show it, its frame.
class FrameGeometry {
 public:
  FrameGeometry(const Grid& grid, int axis, const PlaneModel::Size& size)
      : down_{grid.rows(axis), size.rows}, across_{grid.columns(axis), size.columns} {}

  [[nodiscard]] std::int64_t columns() const { return across_.to; }
  [[nodiscard]] std::int64_t rows() const { return down_.to; }
  [[nodiscard]] const Resampling& down() const { return down_; }
  [[nodiscard]] const Resampling& across() const { return across_; }
  [[nodiscard]] FrameStroke stroke(const std::vector<PlanePixel>& pixels) const;
  /// The frame's pixels that contain the ends of a box of the plane.
  [[nodiscard]] FrameBox frame_box(const Box& box) const;
  /// A box of the frame as one of the plane: from center to center of its end pixels.
  [[nodiscard]] Box plane_box(const FrameBox& box) const;

 private:
  Resampling down_, across_;  // from the plane to the frame
};

/// A plane as the model's logits show it, at their resolution. Immutable.
class RatedFrame {
 public:
  explicit RatedFrame(const Answering& with);

  [[nodiscard]] const FrameGeometry& geometry() const { return geometry_; }
  [[nodiscard]] Judged judge(const Hypotheses& answers, std::int64_t n, const FrameStroke& stroke) const;

 private:
  [[nodiscard]] double contrast_of(const PlaneMask& part, const FrameBox& box) const;

  FrameGeometry geometry_;
  int channels_;
  std::vector<float> image_;  // (rows, columns, channels), 0 to 255
};

/// The part of a mask that hangs together with (x, y) by the four neighbors; nothing when that pixel is not set.
PlaneMask connected_part(const PlaneMask& mask, std::int64_t x, std::int64_t y);

}  // namespace medsam::session
