// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "session/rated_frame.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "session/distance.hpp"

namespace medsam::session {

namespace {

constexpr float kSharp = 3;  // logits: the thresholds of the sharpness
// A disk of 7 x 7 pixels: half the width of its row at each distance from the middle row (OpenCV's ellipse).
constexpr std::int64_t kDisk = 3, kHalfWidths[] = {3, 3, 2, 0};
constexpr double kLeastDeviation = 2;  // of 255, so that flat images have a contrast

/// The pixel of a side of the frame that contains a coordinate of the plane.
std::int64_t containing(const Resampling& side, double v) {
  return std::clamp<std::int64_t>(static_cast<std::int64_t>(std::floor((v + 0.5) * side.scale())), 0, side.to - 1);
}

/// A part cut out with a margin of pixels that are not set.
struct Cut {
  std::int64_t x0, y0;  // of its first pixel in the frame
  PlaneMask mask;
};

Cut cut_out(const PlaneMask& part, const FrameBox& box, std::int64_t margin) {
  Cut cut{box.x0 - margin, box.y0 - margin,
          PlaneMask(box.y1 - box.y0 + 1 + 2 * margin, box.x1 - box.x0 + 1 + 2 * margin)};
  for (std::int64_t y = box.y0; y <= box.y1; ++y) {
    std::copy(part.row(y) + box.x0, part.row(y) + box.x1 + 1, cut.mask.row(y - cut.y0) + margin);
  }
  return cut;
}

/// The pixels with one of value `to` in the disk round them; pixels beyond the mask have none.
PlaneMask near_any(const PlaneMask& mask, std::uint8_t to) {
  PlaneMask out(mask.rows, mask.columns);
  for (std::int64_t y = 0; y < mask.rows; ++y) {
    for (std::int64_t x = 0; x < mask.columns; ++x) {
      if (mask.at(x, y) != to) continue;
      for (std::int64_t dy = -kDisk; dy <= kDisk; ++dy) {
        if (y + dy < 0 || y + dy >= mask.rows) continue;
        const std::int64_t half = kHalfWidths[std::abs(dy)];
        const std::int64_t first = std::max<std::int64_t>(0, x - half), last = std::min(mask.columns - 1, x + half);
        std::fill(out.row(y + dy) + first, out.row(y + dy) + last + 1, std::uint8_t{1});
      }
    }
  }
  return out;
}

/// Mean and deviation of values that come one by one.
struct Moments {
  double sum = 0, squares = 0;
  std::int64_t count = 0;
  void add(double v) {
    sum += v;
    squares += v * v;
    ++count;
  }
  [[nodiscard]] double mean() const { return sum / static_cast<double>(count); }
  [[nodiscard]] double deviation() const {
    return std::sqrt(std::max(0.0, squares / static_cast<double>(count) - mean() * mean()));
  }
};

/// The pixels of a part as bits, 64 per word: each is compared with all others.
std::vector<std::uint64_t> bits_of(const PlaneMask& part) {
  std::vector<std::uint64_t> bits((part.values.size() + 63) / 64);
  for (std::size_t i = 0; i < part.values.size(); ++i) bits[i / 64] |= std::uint64_t{part.values[i]} << (i % 64);
  return bits;
}

/// The IoU of two parts that have a pixel in common.
double overlap(const std::vector<std::uint64_t>& a, const std::vector<std::uint64_t>& b) {
  std::int64_t common = 0, either = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    common += std::popcount(a[i] & b[i]);
    either += std::popcount(a[i] | b[i]);
  }
  return static_cast<double>(common) / static_cast<double>(either);
}

}  // namespace

PlaneMask connected_part(const PlaneMask& mask, std::int64_t x, std::int64_t y) {
  PlaneMask part(mask.rows, mask.columns);
  if (mask.at(x, y) == 0) return part;
  std::vector<PlanePixel> open{{x, y}};
  part.row(y)[x] = 1;
  while (!open.empty()) {
    const PlanePixel p = open.back();
    open.pop_back();
    const PlanePixel neighbors[] = {{p.x - 1, p.y}, {p.x + 1, p.y}, {p.x, p.y - 1}, {p.x, p.y + 1}};
    for (const PlanePixel& n : neighbors) {
      if (n.x < 0 || n.y < 0 || n.x >= mask.columns || n.y >= mask.rows) continue;
      if (mask.at(n.x, n.y) == 0 || part.at(n.x, n.y) != 0) continue;
      part.row(n.y)[n.x] = 1;
      open.push_back(n);
    }
  }
  return part;
}

FrameStroke FrameGeometry::stroke(const std::vector<PlanePixel>& pixels) const {
  FrameStroke stroke;
  PlaneMask known(rows(), columns());
  for (const PlanePixel& p : pixels) {
    const PlanePixel at{containing(across_, static_cast<double>(p.x)), containing(down_, static_cast<double>(p.y))};
    if (std::exchange(known.row(at.y)[at.x], std::uint8_t{1}) == 0) stroke.pixels.push_back(at);
  }
  return stroke;
}

FrameBox FrameGeometry::frame_box(const Box& box) const {
  return {containing(across_, box.x0), containing(down_, box.y0), containing(across_, box.x1),
          containing(down_, box.y1)};
}

Box FrameGeometry::plane_box(const FrameBox& box) const {
  const auto place = [](const Resampling& side, std::int64_t v) {
    const double at = (static_cast<double>(v) + 0.5) / side.scale() - 0.5;
    return std::clamp(at, 0.0, static_cast<double>(side.from - 1));
  };
  return {place(across_, box.x0), place(down_, box.y0), place(across_, box.x1), place(down_, box.y1)};
}

RatedFrame::RatedFrame(const Answering& with)
    : geometry_(with.pixels.grid(), with.plane.axis, with.model.low_resolution(with.plane)),
      channels_(with.pixels.channels()) {
  const Resampling &down = geometry_.down(), &across = geometry_.across();
  image_ = resampled(with.pixels.values(with.plane, {0, 0, across.from, down.from}), across.from, channels_,
                     area_taps(down), area_taps(across));
}

double RatedFrame::contrast_of(const PlaneMask& part, const FrameBox& box) const {
  // Pixels within the disk of the edge: those of the part that an erosion takes, and those that a dilation adds. What
  // lies beyond the frame neither erodes nor is added.
  const Cut cut = cut_out(part, box, kDisk);
  const auto inside_frame = [&](std::int64_t x, std::int64_t y) {
    return x >= 0 && y >= 0 && x < geometry_.columns() && y < geometry_.rows();
  };
  PlaneMask around = cut.mask;
  for (std::int64_t y = 0; y < around.rows; ++y) {
    for (std::int64_t x = 0; x < around.columns; ++x) {
      if (!inside_frame(x + cut.x0, y + cut.y0)) around.row(y)[x] = 2;  // neither part nor background
    }
  }
  const PlaneMask near_part = near_any(around, 1), near_background = near_any(around, 0);
  std::vector<Moments> inside(static_cast<std::size_t>(channels_)), outside(inside.size());
  for (std::int64_t y = 0; y < around.rows; ++y) {
    for (std::int64_t x = 0; x < around.columns; ++x) {
      const bool in = around.at(x, y) == 1 && near_background.at(x, y) != 0;
      const bool out = around.at(x, y) == 0 && near_part.at(x, y) != 0;
      if (!in && !out) continue;
      const float* pixel = image_.data() + ((y + cut.y0) * geometry_.columns() + x + cut.x0) * channels_;
      for (int c = 0; c < channels_; ++c) (in ? inside : outside)[static_cast<std::size_t>(c)].add(pixel[c]);
    }
  }
  if (outside[0].count == 0 || inside[0].count == 0) return 0;
  double difference = 0, deviations = 0;
  for (std::size_t c = 0; c < inside.size(); ++c) {
    difference += std::abs(inside[c].mean() - outside[c].mean());
    deviations += inside[c].deviation() + outside[c].deviation();
  }
  const auto channels = static_cast<double>(channels_);
  return difference / channels / (deviations / channels + kLeastDeviation);
}

Judged RatedFrame::judge(const Hypotheses& answers, std::int64_t n, const FrameStroke& stroke) const {
  const Hypotheses::LowResolution low = answers.low_resolution(n);
  const std::int64_t rows = geometry_.rows(), columns = geometry_.columns();
  PlaneMask mask(rows, columns);
  std::int64_t sharp = 0, blunt = 0;
  for (std::int64_t y = 0; y < rows; ++y) {
    const float* row = low.values + y * low.stride;
    for (std::int64_t x = 0; x < columns; ++x) {
      mask.row(y)[x] = row[x] > 0 ? 1 : 0;
      sharp += row[x] > kSharp ? 1 : 0;
      blunt += row[x] > -kSharp ? 1 : 0;
    }
  }
  Judged judged;
  judged.rating = answers.rating(n);
  judged.sharpness = static_cast<double>(sharp) / static_cast<double>(std::max<std::int64_t>(1, blunt));
  const PlanePixel& middle = stroke.middle();
  if (mask.at(middle.x, middle.y) == 0) return judged;
  judged.holds = true;
  PlaneMask part = connected_part(mask, middle.x, middle.y);
  const Box bounds = *part.bounds();
  const FrameBox box{static_cast<std::int64_t>(bounds.x0), static_cast<std::int64_t>(bounds.y0),
                     static_cast<std::int64_t>(bounds.x1), static_cast<std::int64_t>(bounds.y1)};
  judged.box = box;
  const Cut cut = cut_out(part, box, 1);
  const std::vector<float> depth = distance_to(cut.mask, 0);
  double deepest = 0;
  std::int64_t covered = 0;
  for (const PlanePixel& p : stroke.pixels) {
    if (part.at(p.x, p.y) == 0) continue;
    ++covered;
    deepest =
        std::max<double>(deepest, depth[static_cast<std::size_t>((p.y - cut.y0) * cut.mask.columns + p.x - cut.x0)]);
  }
  judged.depth = deepest / *std::max_element(depth.begin(), depth.end());
  judged.covered = static_cast<double>(covered) / static_cast<double>(stroke.pixels.size());
  judged.contrast = contrast_of(part, box);
  judged.part = std::move(part);
  return judged;
}

void favor_agreement(const std::vector<Judged*>& answers) {
  std::vector<std::vector<std::uint64_t>> parts;
  std::vector<double> agreement;
  for (Judged* answer : answers) {
    if (!(answer->score > 0)) answer->score = 0;  // one that is not a number would spoil all that it overlaps
    parts.push_back(bits_of(answer->part));
    agreement.push_back(answer->score);  // with itself
  }
  for (std::size_t i = 0; i < answers.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const double shared = overlap(parts[i], parts[j]);
      agreement[i] += shared * shared * answers[j]->score;
      agreement[j] += shared * shared * answers[i]->score;
    }
  }
  for (std::size_t i = 0; i < answers.size(); ++i) answers[i]->score *= agreement[i];
}

}  // namespace medsam::session
