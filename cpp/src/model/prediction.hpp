// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "bundle/profile.hpp"
#include "image/geometry.hpp"
#include "medsam/image.hpp"
#include "medsam/prediction.hpp"
#include "model/decoder.hpp"

namespace medsam {

/// One (height, width) map of logits: map `index` of those that a tensor, (N, M, h, w), holds. The tensor has its top
/// left (h, w).
struct LogitMap {
  backends::TensorPtr tensor;
  std::int64_t index = 0, height = 0, width = 0;
};

struct Prediction::Impl {
  ImageGeometry geometry;
  MaskRules rules;
  std::int64_t prompts = 0, masks = 0;         // N, M
  std::int64_t low_height = 0, low_width = 0;  // h, w
  std::vector<float> iou;                      // (N, M)

  /// Takes a prompt's answer. Logits that a device makes masks of stay there, others are copied.
  void take(std::size_t n, const Decoder::Answer& answer);
  [[nodiscard]] LogitMap map(std::int64_t n, std::int64_t m) const;
  /// (N, M, h, w); brought from the device at the first call. Thread-safe.
  [[nodiscard]] const float* logits() const;

 private:
  struct Row {
    backends::TensorPtr tensor;
    std::int64_t row = 0;
  };
  [[nodiscard]] std::int64_t row_size() const { return masks * low_height * low_width; }
  [[nodiscard]] std::shared_ptr<backends::HostTensor> make_host() const;
  std::vector<Row> rows_;  // by prompt, where they stay on a device
  mutable std::once_flag gathered_;
  mutable std::shared_ptr<backends::HostTensor> host_;
};

/// What write_label looks at of a (low_height, low_width) map.
backends::MapPart looked_at(const ImageGeometry& geometry, const MaskRules& rules, std::int64_t low_height,
                            std::int64_t low_width);

/// Writes `label` where a map says object, in a view of the image's size. The view is checked by the caller,
/// who also knows the estimate that belongs into MaskStats::iou.
MaskStats write_label(const LogitMap& logits, const ImageGeometry& geometry, const MaskRules& rules,
                      const LabelView& out, std::uint32_t label);

}  // namespace medsam
