// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// From the masks of objects on slices to a label volume, in whatever order slices and objects are done.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "bundle/profile.hpp"
#include "image/geometry.hpp"
#include "medsam/volume.hpp"

namespace medsam {

/// The mask of one object on one slice: u8 or u16, rows dense, empty at first. Reused from slice to slice.
class SliceMask {
 public:
  SliceMask(std::int64_t height, std::int64_t width, LabelType type);

  [[nodiscard]] LabelView view() { return {values_.data(), type_, height_, width_, width_ * bytes_each()}; }
  [[nodiscard]] LabelType type() const { return type_; }

 private:
  [[nodiscard]] std::int64_t bytes_each() const { return type_ == LabelType::u16 ? 2 : 1; }

  std::int64_t height_, width_;
  LabelType type_;
  std::vector<std::uint8_t> values_;
};

/// The objects of a label volume, numbered from 0; object i has label i + 1. Used by one thread at a time.
class VolumeLabels {
 public:
  /// Refers to `out`, a checked and cleared volume that can hold the labels.
  VolumeLabels(const LabelVolumeView& out, const std::vector<Box3D>& boxes, Overlap overlap);

  /// Adds what object `object` has on slice `z`: the pixels of `mask` that are not 0, which `stats` describes, and
  /// clears `mask`. A voxel that several objects claim goes to the one that the overlap rule favors.
  void add(std::size_t object, std::int64_t z, const LabelView& mask, const MaskStats& stats);
  /// Of what was added, by object.
  [[nodiscard]] const std::vector<VolumeStats>& stats() const { return stats_; }

 private:
  void count(std::size_t object, std::int64_t z, const MaskStats& slice);

  const LabelVolumeView& out_;
  std::vector<std::uint32_t> ranks_;  // by label; the highest keeps a voxel
  std::vector<VolumeStats> stats_;
  std::vector<double> iou_sums_;  // of an object's slices, times their pixels
};

}  // namespace medsam
