// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Volumes: 3D boxes in, a label volume out. Axis order is (z, y, x) in memory, (x, y, z) in coordinates.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "medsam/image.hpp"

namespace medsam {

/// A borrowed volume: depth slices, each as an ImageView. Slice z starts at `data + z * slice_stride` (bytes).
struct VolumeView {
  const void* data = nullptr;      ///< First sample of slice 0. Aligned to its type.
  PixelType type = PixelType::u8;  ///< Type of a sample.
  std::int64_t depth = 0;          ///< Slices, D >= 1.
  std::int64_t height = 0;         ///< Rows, H >= 1.
  std::int64_t width = 0;          ///< Columns, W >= 1.
  int channels = 1;                ///< 1 or 3 (interleaved).
  std::int64_t row_stride = 0;     ///< Bytes from a row to the next.
  std::int64_t slice_stride = 0;   ///< Bytes from a slice to the next; negative for a volume stored top down.
};

/// A borrowed, writable label volume (D, H, W), as LabelView slice by slice.
struct LabelVolumeView {
  void* data = nullptr;             ///< First label of slice 0. Aligned to its type.
  LabelType type = LabelType::u16;  ///< Type of a label. InvalidArgument when the largest label does not fit.
  std::int64_t depth = 0;           ///< Slices, D.
  std::int64_t height = 0;          ///< Rows, H.
  std::int64_t width = 0;           ///< Columns, W.
  std::int64_t row_stride = 0;      ///< Bytes from a row to the next.
  std::int64_t slice_stride = 0;    ///< Bytes from a slice to the next.
};

/// A 3D box in voxel indices. Ends are INCLUSIVE, as in the MedSAM-on-laptop challenge; an end equal to the size
/// (x1 == W, y1 == H, z1 == D) is clamped to the last index. Reversed, non-finite or further outside is
/// InvalidArgument, and so are z0 and z1 that are no whole numbers.
struct Box3D {
  double x0 = 0;  ///< First column.
  double y0 = 0;  ///< First row.
  double z0 = 0;  ///< First slice.
  double x1 = 0;  ///< Last column.
  double y1 = 0;  ///< Last row.
  double z1 = 0;  ///< Last slice.
};

/// What was written for one object. Inclusive voxel indices; nothing written: voxels 0 and box (0, 0, 0, -1, -1, -1).
struct VolumeStats {
  std::int64_t voxels = 0;  ///< Before overlap with other objects.
  std::int64_t x0 = 0;      ///< First column.
  std::int64_t y0 = 0;      ///< First row.
  std::int64_t z0 = 0;      ///< First slice.
  std::int64_t x1 = -1;     ///< Last column.
  std::int64_t y1 = -1;     ///< Last row.
  std::int64_t z1 = -1;     ///< Last slice.
};

/// How far a volume is. A step is one slice in one direction for all objects that pass through it.
struct VolumeProgress {
  std::int64_t done = 0;   ///< Steps finished.
  std::int64_t total = 0;  ///< Steps in all.
};

/// How Engine::segment_volume runs.
struct VolumeOptions {
  /// Name of a profile for this call; "" = the engine's.
  std::string profile;
  /// The volume's modality, as EncodeOptions::modality.
  std::string modality;
  /// Called after each step, on the calling thread. May throw: the exception leaves segment_volume as it is.
  std::function<void(const VolumeProgress&)> progress;
  /// Asked before each step, on the calling thread; true raises Cancelled. May throw, likewise.
  std::function<bool()> cancelled;
};

}  // namespace medsam
