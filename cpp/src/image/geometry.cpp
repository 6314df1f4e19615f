// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "image/geometry.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <string>

#include "base/number_text.hpp"
#include "medsam/error.hpp"

namespace medsam {

namespace {

// A side or a stride beyond these is a mistake, and they bound every product of sides, and of a side and a stride,
// below 2^63.
constexpr std::int64_t kMaxSide = std::int64_t{1} << 20;
constexpr std::int64_t kMaxStride = std::int64_t{1} << 42;

std::string size_text(std::int64_t height, std::int64_t width) {
  return std::to_string(width) + " x " + std::to_string(height) + " (width x height)";
}

std::int64_t scaled_side(std::int64_t side, double scale) {
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(static_cast<double>(side) * scale + 0.5));
}

std::int64_t sample_bytes(PixelType type) {
  switch (type) {
    case PixelType::u8:
      return 1;
    case PixelType::u16:
    case PixelType::i16:
      return 2;
    case PixelType::f32:
      return 4;
  }
  throw InvalidArgument("image: got an unknown pixel type, expected u8, u16, i16 or f32");
}

std::int64_t label_bytes(LabelType type) {
  switch (type) {
    case LabelType::u8:
      return 1;
    case LabelType::u16:
      return 2;
    case LabelType::u32:
      return 4;
  }
  throw InvalidArgument("label map: got an unknown label type, expected u8, u16 or u32");
}

void check_rows(const char* what, const void* data, std::int64_t stride, std::int64_t row_bytes, std::int64_t align) {
  const std::string name(what);
  if (stride > kMaxStride || stride < -kMaxStride) {
    throw InvalidArgument(name + ": got a stride of " + std::to_string(stride) + " bytes, expected at most " +
                          std::to_string(kMaxStride) + " in either direction; pass the distance between two rows");
  }
  if (std::abs(stride) < row_bytes) {
    throw InvalidArgument(name + ": got row_stride " + std::to_string(stride) + ", expected at least the " +
                          std::to_string(row_bytes) + " bytes of a row");
  }
  if (reinterpret_cast<std::uintptr_t>(data) % static_cast<std::uintptr_t>(align) != 0 || stride % align != 0) {
    throw InvalidArgument(name + ": got data or row_stride not a multiple of the sample size " + std::to_string(align) +
                          "; pass an aligned copy");
  }
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

std::vector<std::size_t> paint_order(const std::vector<double>& sizes, Overlap overlap) {
  std::vector<std::size_t> order(sizes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (overlap == Overlap::smaller_box) {
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return sizes[a] > sizes[b]; });
  }
  return order;
}

UnpaddedSize unpadded_size(const ImageGeometry& g, std::int64_t low_height, std::int64_t low_width) {
  const auto side = [&](std::int64_t now, std::int64_t low) {
    return std::clamp<std::int64_t>((now * low + g.input_size / 2) / g.input_size, 1, low);
  };
  return {side(g.new_height, low_height), side(g.new_width, low_width)};
}

std::string box_text(std::int64_t index, std::initializer_list<double> numbers) {
  std::string text;
  for (const double number : numbers) text += (text.empty() ? "(" : ", ") + number_text(number);
  return "boxes[" + std::to_string(index) + "]: got " + text + ")";
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

void check_image(const ImageView& image) {
  const std::string got = std::to_string(image.height) + " x " + std::to_string(image.width) + " pixels";
  if (image.data == nullptr || image.height < 1 || image.width < 1) {
    throw InvalidArgument("image: got " + got + (image.data == nullptr ? " at a null pointer" : "") +
                          ", expected at least one pixel");
  }
  if (image.height > kMaxSide || image.width > kMaxSide) {
    throw InvalidArgument("image: got " + got + ", expected sides of at most " + std::to_string(kMaxSide) +
                          "; tile it or reduce it first");
  }
  if (image.channels != 1 && image.channels != 3) {
    throw InvalidArgument("image: got " + std::to_string(image.channels) +
                          " channels, expected 1 (grey) or 3 (RGB); drop alpha or pick a channel first");
  }
  const std::int64_t bytes = sample_bytes(image.type);
  check_rows("image", image.data, image.row_stride, image.width * image.channels * bytes, bytes);
}

void check_labels(const LabelView& view, std::int64_t height, std::int64_t width, std::uint64_t largest_label) {
  const std::int64_t bytes = label_bytes(view.type);
  if (view.data == nullptr || view.height != height || view.width != width) {
    throw InvalidArgument("label map: got " + size_text(view.height, view.width) +
                          (view.data == nullptr ? " at a null pointer" : "") + ", expected " +
                          size_text(height, width));
  }
  const std::uint64_t largest = bytes == 4 ? 0xffffffffULL : (1ULL << (8 * bytes)) - 1;
  if (largest_label > largest) {
    throw InvalidArgument("label map: got a label type that holds at most " + std::to_string(largest) +
                          ", expected one for label " + std::to_string(largest_label) + "; use a wider LabelType");
  }
  check_rows("label map", view.data, view.row_stride, view.width * bytes, bytes);
}

ImageView slice_of(const VolumeView& v, std::int64_t z) {
  return {static_cast<const char*>(v.data) + z * v.slice_stride, v.type, v.height, v.width, v.channels, v.row_stride};
}

LabelView slice_of(const LabelVolumeView& v, std::int64_t z) {
  return {static_cast<char*>(v.data) + z * v.slice_stride, v.type, v.height, v.width, v.row_stride};
}

void check_volume(const VolumeView& v) {
  if (v.depth < 1 || v.depth > kMaxSide) {
    throw InvalidArgument("volume: got " + std::to_string(v.depth) + " slices, expected 1 to " +
                          std::to_string(kMaxSide));
  }
  check_image(slice_of(v, 0));
  check_rows("volume", v.data, v.slice_stride, std::abs(v.row_stride) * (v.height - 1), sample_bytes(v.type));
}

void check_label_volume(const LabelVolumeView& view, const VolumeView& v, std::uint64_t largest_label) {
  if (view.depth != v.depth) {
    throw InvalidArgument("label volume: got " + std::to_string(view.depth) + " slices, expected " +
                          std::to_string(v.depth));
  }
  check_labels(slice_of(view, 0), v.height, v.width, largest_label);
  check_rows("label volume", view.data, view.slice_stride, std::abs(view.row_stride) * (view.height - 1),
             label_bytes(view.type));
}

void clear_labels(const LabelView& view) {
  for (std::int64_t y = 0; y < view.height; ++y) {
    std::memset(static_cast<char*>(view.data) + y * view.row_stride, 0,
                static_cast<std::size_t>(view.width * label_bytes(view.type)));
  }
}

}  // namespace medsam
