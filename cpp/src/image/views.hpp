// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The memory that a host lends: whether a view of it is sound, and its slices. Without models and coordinates.
#pragma once

#include <cstdint>
#include <string>

#include "medsam/error.hpp"
#include "medsam/image.hpp"
#include "medsam/volume.hpp"

namespace medsam {

/// A longer side is a mistake. It bounds every product of two sides, and of a side and a stride, below 2^63.
inline constexpr std::int64_t kMaxSide = std::int64_t{1} << 20;

/// "100 x 50 (width x height)".
std::string size_text(std::int64_t height, std::int64_t width);

/// Bytes of one sample of a pixel; InvalidArgument for a value that is no type.
std::int64_t sample_bytes(PixelType type);

/// Calls f with a value of the type of a sample.
template <class F>
auto with_sample_type(PixelType type, F&& f) {
  switch (type) {
    case PixelType::u8:
      return f(std::uint8_t{});
    case PixelType::u16:
      return f(std::uint16_t{});
    case PixelType::i16:
      return f(std::int16_t{});
    case PixelType::f32:
      return f(float{});
  }
  throw InvalidArgument("image: got an unknown pixel type, expected u8, u16, i16 or f32");
}

/// Bytes of one label; InvalidArgument for a value that is no type.
std::int64_t label_bytes(LabelType type);

/// InvalidArgument when the view does not describe an image: empty, too large, misaligned, of impossible stride.
void check_image(const ImageView& image);

/// An image whose view has been checked, the only form in which the inner rooms take one: whoever passes a view to them
/// has it checked, and what was checked is not checked again. Refers to the caller's pixels, as the view does.
class CheckedImage {
 public:
  /// Errors of check_image.
  // NOLINTNEXTLINE(google-explicit-constructor): to convert is to check
  CheckedImage(const ImageView& view) : view_(view) { check_image(view); }
  const ImageView* operator->() const { return &view_; }
  const ImageView& operator*() const { return view_; }

 private:
  ImageView view_;
};

/// InvalidArgument when the view is not (height, width) or cannot hold `largest_label`.
void check_labels(const LabelView& view, std::int64_t height, std::int64_t width, std::uint64_t largest_label);

/// Slice z of a volume.
ImageView slice_of(const VolumeView& volume, std::int64_t z);
LabelView slice_of(const LabelVolumeView& volume, std::int64_t z);

/// As check_image and check_labels, for every slice at once.
void check_volume(const VolumeView& volume);
void check_label_volume(const LabelVolumeView& view, const VolumeView& volume, std::uint64_t largest_label);

/// Sets every label of a checked view to 0.
void clear_labels(const LabelView& view);

}  // namespace medsam
