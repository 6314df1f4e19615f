// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "image/geometry.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/number_text.hpp"
#include "image/views.hpp"
#include "medsam/error.hpp"

namespace medsam {

namespace {

std::int64_t scaled_side(std::int64_t side, double scale) {
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(static_cast<double>(side) * scale + 0.5));
}

}  // namespace

ImageGeometry image_geometry(std::int64_t height, std::int64_t width, std::int64_t input_size, double prompt_frame,
                             Fit fit, double point_shift) {
  ImageGeometry g;
  g.point_shift = point_shift;
  g.height = height;
  g.width = width;
  g.input_size = input_size;
  g.prompt_frame = prompt_frame;
  const auto size = static_cast<double>(input_size);
  if (fit == Fit::stretch) {
    g.new_height = g.new_width = input_size;
    g.prompt_scale_x = prompt_frame / static_cast<double>(width);
    g.prompt_scale_y = prompt_frame / static_cast<double>(height);
    return g;
  }
  const auto longest = static_cast<double>(std::max(height, width));
  g.new_height = scaled_side(height, size / longest);
  g.new_width = scaled_side(width, size / longest);
  g.prompt_scale_x = g.prompt_scale_y = prompt_frame / longest;
  return g;
}

UnpaddedSize unpadded_size(const ImageGeometry& g, std::int64_t low_height, std::int64_t low_width) {
  const auto side = [&](std::int64_t now, std::int64_t low) {
    return std::clamp<std::int64_t>((now * low + g.input_size / 2) / g.input_size, 1, low);
  };
  return {side(g.new_height, low_height), side(g.new_width, low_width)};
}

std::string numbers_text(std::initializer_list<double> numbers) {
  std::string text;
  for (const double number : numbers) text += (text.empty() ? "(" : ", ") + number_text(number);
  return text + ")";
}

std::string box_text(std::int64_t index, std::initializer_list<double> numbers) {
  return "boxes[" + std::to_string(index) + "]: got " + numbers_text(numbers);
}

Box checked_box(const Box& box, std::int64_t height, std::int64_t width, std::int64_t index) {
  return checked_box(box, height, width, box_text(index, {box.x0, box.y0, box.x1, box.y1}));
}

Box checked_box(const Box& box, std::int64_t height, std::int64_t width, const std::string& name) {
  if (!std::isfinite(box.x0) || !std::isfinite(box.y0) || !std::isfinite(box.x1) || !std::isfinite(box.y1)) {
    throw InvalidArgument(name + ", expected finite numbers");
  }
  const auto w = static_cast<double>(width);
  const auto h = static_cast<double>(height);
  if (box.x1 < box.x0 || box.y1 < box.y0) {
    throw InvalidArgument(name + ", which is reversed; expected x0 <= x1 and y0 <= y1");
  }
  if (box.x0 < 0 || box.y0 < 0 || box.x0 > w - 1 || box.y0 > h - 1 || box.x1 > w || box.y1 > h) {
    throw InvalidArgument(name + ", outside the image of " + size_text(height, width) +
                          "; expected inclusive pixel indices, 0 <= x <= " + std::to_string(width - 1) +
                          " and 0 <= y <= " + std::to_string(height - 1));
  }
  return {box.x0, box.y0, std::min(box.x1, w - 1), std::min(box.y1, h - 1)};
}

void check_point(const Point& point, std::int64_t height, std::int64_t width, std::int64_t prompt, std::int64_t index) {
  const std::string name = "point " + std::to_string(index) + " of prompt " + std::to_string(prompt);
  if (point.label < -1 || point.label > 1) {
    throw InvalidArgument(name + ": got label " + std::to_string(point.label) +
                          ", expected 1 (object), 0 (background) or -1 (no point)");
  }
  if (point.label == -1) return;
  const bool inside = point.x >= 0 && point.y >= 0 && point.x < static_cast<double>(width) &&
                      point.y < static_cast<double>(height);  // false for NaN
  if (!inside) {
    throw InvalidArgument(name + ": got (" + number_text(point.x) + ", " + number_text(point.y) +
                          "), expected (x, y) inside the image of " + size_text(height, width));
  }
}

void map_point(const ImageGeometry& g, double x, double y, float out[2]) {
  out[0] = static_cast<float>(x * g.prompt_scale_x);
  out[1] = static_cast<float>(y * g.prompt_scale_y);
}

void map_box(const ImageGeometry& g, const Box& box, BoxRounding rounding, float out[4]) {
  const double ends[4] = {box.x0, box.y0, box.x1, box.y1};
  for (int i = 0; i < 4; ++i) {
    const double scale = i % 2 == 0 ? g.prompt_scale_x : g.prompt_scale_y;
    double mapped = ends[i] * scale;
    if (rounding == BoxRounding::truncate) mapped = std::trunc(mapped);
    if (rounding == BoxRounding::containing_pixel) mapped = std::floor((ends[i] + 0.5) * scale) + 0.5 - g.point_shift;
    out[i] = static_cast<float>(mapped);
  }
}

PixelBox pixel_box(const Box& box) {
  const auto whole = [](double v) { return static_cast<std::int64_t>(v); };
  const std::int64_t x0 = whole(box.x0), y0 = whole(box.y0);
  return {x0, y0, std::max(x0 + 1, whole(box.x1)), std::max(y0 + 1, whole(box.y1))};
}

PixelBox grown_pixel_box(const MaskStats& mask, std::int64_t shift, std::int64_t height, std::int64_t width) {
  const std::int64_t x0 = std::max<std::int64_t>(0, mask.x0 - shift), y0 = std::max<std::int64_t>(0, mask.y0 - shift);
  return {x0, y0, std::max(x0 + 1, std::min(width, mask.x1 + shift)),
          std::max(y0 + 1, std::min(height, mask.y1 + shift))};
}

}  // namespace medsam
