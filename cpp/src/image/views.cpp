// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "image/views.hpp"

#include <cstdlib>
#include <cstring>

#include "medsam/error.hpp"

namespace medsam {

namespace {

constexpr std::int64_t kMaxStride = std::int64_t{1} << 42;  // as kMaxSide

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

std::string size_text(std::int64_t height, std::int64_t width) {
  return std::to_string(width) + " x " + std::to_string(height) + " (width x height)";
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
                          " channels, expected 1 (gray) or 3 (RGB); drop alpha or pick a channel first");
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
  const std::int64_t slice = std::abs(view.row_stride) * (view.height - 1) + view.width * label_bytes(view.type);
  if (view.depth > 1 && std::abs(view.slice_stride) < slice) {
    throw InvalidArgument("label volume: got slice_stride " + std::to_string(view.slice_stride) +
                          ", expected at least the " + std::to_string(slice) +
                          " bytes of a slice; its labels would overwrite those of the next");
  }
  check_rows("label volume", view.data, view.slice_stride, 0, label_bytes(view.type));
}

void clear_labels(const LabelView& view) {
  for (std::int64_t y = 0; y < view.height; ++y) {
    std::memset(static_cast<char*>(view.data) + y * view.row_stride, 0,
                static_cast<std::size_t>(view.width * label_bytes(view.type)));
  }
}

}  // namespace medsam
