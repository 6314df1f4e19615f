// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Views of pixels and of labels. Both are borrowed: the engine never keeps a view after the call returns.
#pragma once

#include <cstdint>
#include <limits>

namespace medsam {

/// The type of one channel of one pixel.
enum class PixelType : std::uint8_t {
  u8,   ///< std::uint8_t
  u16,  ///< std::uint16_t
  i16,  ///< std::int16_t
  f32,  ///< float, finite
};

/// A borrowed image, rows top to bottom, channels interleaved: the sample of channel c at column x of row y is at
/// `data + y * row_stride + (x * channels + c) * size of type` (bytes).
///
/// `data` must stay alive and unchanged for the duration of the call it is passed to.
struct ImageView {
  const void* data = nullptr;      ///< First sample of the top row. Aligned to its type.
  PixelType type = PixelType::u8;  ///< Type of a sample.
  std::int64_t height = 0;         ///< Rows, >= 1.
  std::int64_t width = 0;          ///< Columns, >= 1.
  int channels = 1;                ///< 1 (gray, given to the model as three equal channels) or 3 (RGB).
  std::int64_t row_stride = 0;     ///< Bytes from one row to the next; negative for an image stored bottom-up.
};

/// The type of a label in a label map.
enum class LabelType : std::uint8_t {
  u8,   ///< std::uint8_t
  u16,  ///< std::uint16_t
  u32,  ///< std::uint32_t
};

/// A borrowed, writable label map (H, W): 0 is background, k is the k-th object, counted from 1.
/// `data` belongs to the caller; the engine writes only inside the map.
struct LabelView {
  void* data = nullptr;             ///< First label of the top row. Aligned to its type.
  LabelType type = LabelType::u16;  ///< Type of a label. InvalidArgument when the largest label does not fit.
  std::int64_t height = 0;          ///< Rows.
  std::int64_t width = 0;           ///< Columns.
  std::int64_t row_stride = 0;      ///< Bytes from one row to the next; negative when stored bottom-up.
};

/// What was written for one mask, in inclusive pixel indices. An empty mask has area 0 and the box (0, 0, -1, -1).
struct MaskStats {
  std::int64_t area = 0;  ///< Pixels in the mask.
  std::int64_t x0 = 0;    ///< First column.
  std::int64_t y0 = 0;    ///< First row.
  std::int64_t x1 = -1;   ///< Last column.
  std::int64_t y1 = -1;   ///< Last row.
  /// The model's own estimate of the mask's IoU with the object, of an empty mask too. A number that the model learned
  /// to give: mostly 0 to 1, not bounded by it, and no probability.
  float iou = std::numeric_limits<float>::quiet_NaN();
};

}  // namespace medsam
