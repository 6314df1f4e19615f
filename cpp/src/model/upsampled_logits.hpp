// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Logits at the pixels of the image that they show: bilinear, as the masks of MaskUpsample::logits.
#pragma once

#include <cstdint>
#include <vector>

#include "image/geometry.hpp"
#include "kernels/pixels/math/pixel_math.hpp"
#include "model/prediction.hpp"

namespace medsam {

/// One answer's logits and the geometry of what they show.
struct ShownLogits {
  const LogitMap& logits;
  const ImageGeometry& geometry;
};

/// A map of logits, sampled at pixels of what it shows: linear along y into a row, then along x. Refers to the map.
class UpsampledLogits {
 public:
  /// BackendError when the map does not show all of the image.
  explicit UpsampledLogits(const ShownLogits& shown);

  /// Row y of the image is what is read next.
  void set_row(std::int64_t y);
  /// At least what at() gives in this row.
  [[nodiscard]] float greatest() const;
  [[nodiscard]] float at(std::int64_t x) const {
    const kernels::BilinearTap& tap = taps_[static_cast<std::size_t>(x)];
    return tap.w0 * row_[static_cast<std::size_t>(tap.i0)] + tap.w1 * row_[static_cast<std::size_t>(tap.i1)];
  }

 private:
  UnpaddedSize size_;
  float scale_y_;
  std::int64_t stride_;
  const float* logits_ = nullptr;
  std::vector<float> row_;
  std::vector<kernels::BilinearTap> taps_;  // by column
};

}  // namespace medsam
