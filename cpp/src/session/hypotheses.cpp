// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "session/hypotheses.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/engine_impl.hpp"
#include "model/model.hpp"

namespace medsam::session {

Hypotheses::Hypotheses(Prediction prediction, const EncodedSize& size)
    : prediction_(std::move(prediction)), size_(size) {}

PlaneMask Hypotheses::mask(std::int64_t n) const { return written(prediction_.impl()->map(n, 0)); }

PlaneMask Hypotheses::mask_of(const std::vector<float>& logits) const {
  const std::int64_t rows = prediction_.low_res_height(), columns = prediction_.low_res_width();
  const auto tensor = std::make_shared<backends::HostTensor>(backends::Shape{1, 1, rows, columns});
  std::copy(logits.begin(), logits.end(), tensor->mutable_host());
  return written({tensor, 0, rows, columns});
}

PlaneMask Hypotheses::written(const LogitMap& logits) const {
  const Prediction::Impl& answer = *prediction_.impl();
  // The plane's own pixels, also where it was resampled for the encoder: what is upsampled is the same part of the
  // logits, to another size.
  ImageGeometry geometry = answer.geometry;
  geometry.height = size_.rows.from;
  geometry.width = size_.columns.from;
  PlaneMask mask(geometry.height, geometry.width);
  const LabelView view{mask.values.data(), LabelType::u8, mask.rows, mask.columns, mask.columns};
  static_cast<void>(write_label(logits, geometry, answer.rules, view, 1));
  return mask;
}

std::vector<float> Hypotheses::carried(std::int64_t n) const {
  const float* from = prediction_.impl()->logits() + n * prediction_.impl()->masks * logits_size();
  return {from, from + logits_size()};
}

Hypotheses::LowResolution Hypotheses::low_resolution(std::int64_t n) const {
  const Prediction::Impl& answer = *prediction_.impl();
  const UnpaddedSize part = unpadded_size(answer.geometry, answer.low_height, answer.low_width);
  const float* values = answer.logits() + n * answer.masks * answer.low_height * answer.low_width;
  return {values, part.height, part.width, answer.low_width};
}

std::vector<float> Hypotheses::logits(std::int64_t n, const PixelRegion& region) const {
  const LowResolution low = low_resolution(n);
  struct Tap {
    std::int64_t first, second;
    float share;  // of the second
  };
  // As torch's interpolate and OpenCV's resize: pixel i of `size` lies at (i + 0.5) * low / size - 0.5.
  const auto tap = [](std::int64_t i, std::int64_t size, std::int64_t count) {
    const double at = (static_cast<double>(i) + 0.5) * static_cast<double>(count) / static_cast<double>(size) - 0.5;
    const double inside = std::clamp(at, 0.0, static_cast<double>(count - 1));
    const auto first = static_cast<std::int64_t>(inside);
    return Tap{first, std::min(first + 1, count - 1), static_cast<float>(inside - static_cast<double>(first))};
  };
  std::vector<float> out;
  out.reserve(static_cast<std::size_t>(region.rows() * region.columns()));
  for (std::int64_t y = region.y0; y < region.y1; ++y) {
    const Tap down = tap(y, size_.rows.from, low.rows);
    const float* top = low.values + down.first * low.stride;
    const float* bottom = low.values + down.second * low.stride;
    for (std::int64_t x = region.x0; x < region.x1; ++x) {
      const Tap across = tap(x, size_.columns.from, low.columns);
      const float above = top[across.first] + (top[across.second] - top[across.first]) * across.share;
      const float below = bottom[across.first] + (bottom[across.second] - bottom[across.first]) * across.share;
      out.push_back(above + (below - above) * down.share);
    }
  }
  return out;
}

Hypotheses PlaneModel::boxes(const Plane& plane, const std::vector<Box>& boxes) const {
  const EncodedSize size = encoded_size(grid_, plane.axis);
  std::vector<Prompt> prompts(boxes.size());
  for (std::size_t i = 0; i < boxes.size(); ++i) prompts[i].box = encoded_box(size, boxes[i]);
  return {engine_.predict(embeddings_.get(plane), prompts), size};
}

PlaneMask PlaneModel::box_mask(const Plane& plane, const Box& box, const Pixels& pixels) const {
  const bool image_alone = grid_.depth() == 1 && plane.axis == 0 && !encoded_size(grid_, plane.axis).changed();
  if (!image_alone || !engine_.impl().profile.zoom) return boxes(plane, {box}).mask(0);
  const PlaneImage image = pixels.image(plane);
  const CheckedImage checked(image.view);
  PlaneMask mask(grid_.rows(plane.axis), grid_.columns(plane.axis));
  const LabelView view{mask.values.data(), LabelType::u8, mask.rows, mask.columns, mask.columns};
  static_cast<void>(engine_.impl().segment(embeddings_.get(plane), {box}, view, {}, &checked));
  return mask;
}

Hypotheses PlaneModel::prompt(const Plane& plane, const std::vector<PlanePoint>& positive,
                              const std::vector<PlanePoint>& negative, const std::optional<Box>& box,
                              const std::vector<float>& carried) const {
  const EncodedSize size = encoded_size(grid_, plane.axis);
  Prompt asked;
  for (const PlanePoint& point : positive) asked.points.push_back(encoded_point(size, point, true));
  for (const PlanePoint& point : negative) asked.points.push_back(encoded_point(size, point, false));
  if (box) asked.box = encoded_box(size, *box);
  if (!carried.empty()) asked.mask_input = carried.data();
  return {engine_.predict(embeddings_.get(plane), {asked}), size};
}

std::vector<float> PlaneModel::carried(const Plane& plane, const PlaneMask& mask) const {
  constexpr float kSure = 10;  // about as far as the logits of sure answers go
  const std::vector<std::int64_t>& shape = engine_.info().mask_shape;
  const Size part = low_resolution(plane);
  const std::vector<float> covered =
      resampled({mask.values.begin(), mask.values.end()}, mask.columns, 1, area_taps({mask.rows, part.rows}),
                area_taps({mask.columns, part.columns}));
  std::vector<float> logits(static_cast<std::size_t>(shape.at(0) * shape.at(1)), -kSure);
  for (std::int64_t y = 0; y < part.rows; ++y) {
    for (std::int64_t x = 0; x < part.columns; ++x) {
      logits[static_cast<std::size_t>(y * shape[1] + x)] =
          kSure * (2 * covered[static_cast<std::size_t>(y * part.columns + x)] - 1);
    }
  }
  return logits;
}

PlaneModel::Size PlaneModel::low_resolution(const Plane& plane) const {
  const std::vector<std::int64_t>& shape = engine_.info().mask_shape;
  const EncodedSize size = encoded_size(grid_, plane.axis);
  const ImageGeometry geometry = bundle_geometry(engine_.impl().bundle, size.rows.to, size.columns.to);
  const UnpaddedSize part = unpadded_size(geometry, shape.at(0), shape.at(1));
  return {part.height, part.width};
}

bool PlaneModel::knows(PromptKinds kinds) const {
  const std::vector<PromptKinds>& trained = engine_.info().trained_prompts;
  return std::find(trained.begin(), trained.end(), kinds) != trained.end();
}

}  // namespace medsam::session
