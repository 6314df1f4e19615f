// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#pragma once

#include <vector>

#include "geometry.hpp"
#include "medsam/engine.hpp"
#include "profile.hpp"

namespace medsam {

struct Prediction::Impl {
  ImageGeometry geometry;
  MaskRules rules;
  std::int64_t prompts = 0, masks = 0;         // N, M
  std::int64_t low_height = 0, low_width = 0;  // h, w
  std::vector<float> logits;                   // (N, M, h, w)
  std::vector<float> iou;                      // (N, M)
};

/// Writes `label` where one (low_height, low_width) logit map says object, in a view of the image's size. The view is
/// checked by the caller.
MaskStats write_label(const float* logits, std::int64_t low_height, std::int64_t low_width,
                      const ImageGeometry& geometry, const MaskRules& rules, const LabelView& out, std::uint32_t label);

}  // namespace medsam
