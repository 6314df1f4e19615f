// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Volumes: 3D boxes are the input, a label volume is the output. The axis order is (z, y, x) in memory, (x, y, z) in
// coordinates.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>

#include "medsam/image.hpp"

namespace medsam {

/// A borrowed volume of `depth` slices, each laid out as an ImageView. Slice z starts at `data + z * slice_stride`
/// (bytes).
struct VolumeView {
  const void* data = nullptr;      ///< First sample of slice 0. Aligned to its type.
  PixelType type = PixelType::u8;  ///< Type of a sample.
  std::int64_t depth = 0;          ///< Slices, D >= 1.
  std::int64_t height = 0;         ///< Rows, H >= 1.
  std::int64_t width = 0;          ///< Columns, W >= 1.
  int channels = 1;                ///< 1 or 3 (interleaved).
  std::int64_t row_stride = 0;     ///< Bytes from one row to the next.
  std::int64_t slice_stride = 0;   ///< Bytes from one slice to the next; negative for a volume stored top down.
};

/// A borrowed, writable label volume (D, H, W), each slice laid out as a LabelView.
struct LabelVolumeView {
  void* data = nullptr;             ///< First label of slice 0. Aligned to its type.
  LabelType type = LabelType::u16;  ///< Type of a label. InvalidArgument when the largest label does not fit.
  std::int64_t depth = 0;           ///< Slices, D.
  std::int64_t height = 0;          ///< Rows, H.
  std::int64_t width = 0;           ///< Columns, W.
  std::int64_t row_stride = 0;      ///< Bytes from one row to the next.
  std::int64_t slice_stride = 0;    ///< Bytes from one slice to the next; slices must not overlap.
};

/// A 3D box in voxel indices. Ends are INCLUSIVE, as in the MedSAM-on-laptop challenge; an end equal to the size
/// (x1 == W, y1 == H, z1 == D) is clamped to the last index. A box that is reversed, not
/// finite or further outside raises InvalidArgument, and so do z0 and z1 if they are not whole numbers.
struct Box3D {
  double x0 = 0;  ///< First column.
  double y0 = 0;  ///< First row.
  double z0 = 0;  ///< First slice.
  double x1 = 0;  ///< Last column.
  double y1 = 0;  ///< Last row.
  double z1 = 0;  ///< Last slice.
};

/// What was written for one object, in inclusive voxel indices. If nothing was written, `voxels` is 0 and the box is
/// (0, 0, 0, -1, -1, -1).
struct VolumeStats {
  std::int64_t voxels = 0;  ///< Number of voxels before overlaps are resolved.
  std::int64_t x0 = 0;      ///< First column.
  std::int64_t y0 = 0;      ///< First row.
  std::int64_t z0 = 0;      ///< First slice.
  std::int64_t x1 = -1;     ///< Last column.
  std::int64_t y1 = -1;     ///< Last row.
  std::int64_t z1 = -1;     ///< Last slice.
  /// The mean of the slices' MaskStats::iou, each weighted with the pixels it contributes; NaN when nothing was
  /// written. Where a profile fuses several answers per slice, the estimate of a slice is the weighted
  /// mean of those of its answers.
  float iou = std::numeric_limits<float>::quiet_NaN();
};

/// Progress of a volume. A step is one slice, once per direction where a profile propagates, for all objects that pass
/// through it.
struct VolumeProgress {
  std::int64_t done = 0;   ///< Steps finished.
  std::int64_t total = 0;  ///< Steps in total.
};

/// The planes in which the objects of a volume are segmented.
enum class VolumePlanes : std::uint8_t {
  slices,  ///< The slices of the volume.
  three,   ///< The planes along each of the three axes, whose logits are fused. For voxels that are nearly cubes.
};

/// Options of Engine::segment_volume.
struct VolumeOptions {
  /// Name of a profile for this call; "" = the profile of the engine.
  std::string profile;
  /// The modality of the volume, as EncodeOptions::modality.
  std::string modality;
  /// Called after each step, on the calling thread. May throw; the exception leaves segment_volume unchanged.
  std::function<void(const VolumeProgress&)> progress;
  /// Called before each step, on the calling thread; return true to end the call with Cancelled. May throw; the
  /// exception leaves segment_volume unchanged.
  std::function<bool()> cancelled;
  /// In which planes. `three` takes about three times as long, and needs a profile that asks about each slice for
  /// itself ("clinical"), 16 voxels or more along each axis, and the spacing, of which no side may be longer than 1.5
  /// times another; otherwise InvalidArgument. Nothing is found outside of an object's box then.
  VolumePlanes planes = VolumePlanes::slices;
  double spacing_x = 0;  ///< mm between columns, 1e-7 to 1e6, for VolumePlanes::three; all three 0 = not known.
  double spacing_y = 0;  ///< mm between rows, likewise.
  double spacing_z = 0;  ///< mm between slices, likewise.
};

}  // namespace medsam
