// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The masks that answer the prompts of one image.
#pragma once

#include <cstdint>
#include <memory>

#include "medsam/export.hpp"
#include "medsam/image.hpp"

namespace medsam {

/// The answer to N prompts on one image. Immutable; may outlive the engine. Full-size masks are computed on demand,
/// because 300 masks of a mammogram would take 1.3 GB.
class MEDSAM_ENGINE_EXPORT Prediction {
 public:
  struct Impl;
  /// For the library itself.
  explicit Prediction(std::shared_ptr<const Impl> impl);

  [[nodiscard]] std::int64_t size() const;              ///< N, the number of prompts.
  [[nodiscard]] std::int64_t masks_per_prompt() const;  ///< M, 1 or 3.
  [[nodiscard]] std::int64_t low_res_height() const;    ///< h of the logits.
  [[nodiscard]] std::int64_t low_res_width() const;     ///< w of the logits.
  [[nodiscard]] std::int64_t height() const;            ///< H of the original image.
  [[nodiscard]] std::int64_t width() const;             ///< W of the original image.
  /// (N, M, h, w) row-major f32 logits in the model's frame (padding included); > 0 = object. Valid while this object
  /// lives.
  [[nodiscard]] const float* low_res_logits() const;
  /// (N, M) row-major f32, the model's own estimate of the IoU of each mask. Valid while this object lives.
  [[nodiscard]] const float* iou_predictions() const;
  /// Writes `label` where mask m of prompt n is set and leaves the rest of `out` (H, W) unchanged, in one pass.
  /// InvalidArgument: n or m is out of range, `out` has the wrong size, or `label` does not fit its type.
  MaskStats write_mask(std::int64_t n, std::int64_t m, const LabelView& out, std::uint32_t label = 1) const;

  /// For the library itself.
  [[nodiscard]] const std::shared_ptr<const Impl>& impl() const noexcept { return impl_; }

 private:
  std::shared_ptr<const Impl> impl_;
};

}  // namespace medsam
