// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Crop + bilinear upsample + threshold + label write + statistics, one pixel after the other. The value is torch's
// F.interpolate(mode="bilinear", align_corners=False): along x first, then along y, single precision, with the fused
// operations of torch's AVX2 and AVX-512 builds, which it equals to the bit (torch 2.13).
#include <algorithm>

#include "kernels/pixels/reference/reference.hpp"

namespace medsam::kernels::reference {
namespace {

template <typename Label>
MaskStats upsample_typed(const UpsampleThresholdParams& p) noexcept {
  MaskStats stats{0, p.width, p.height, -1, -1};
  const float scale_x = static_cast<float>(p.unpadded_width) / static_cast<float>(p.width);
  const float scale_y = static_cast<float>(p.unpadded_height) / static_cast<float>(p.height);
  for (std::int64_t y = 0; y < p.height; ++y) {
    const BilinearTap ty = bilinear_tap(y, scale_y, p.unpadded_height);
    auto* out = reinterpret_cast<Label*>(static_cast<std::byte*>(p.out) + y * p.out_row_stride);
    for (std::int64_t x = 0; x < p.width; ++x) {
      const BilinearTap tx = bilinear_tap(x, scale_x, p.unpadded_width);
      if (!(upsampled(p.logits, p.logits_stride, ty, tx) > p.threshold)) continue;
      out[x] = static_cast<Label>(p.label);
      ++stats.area;
      stats.x0 = std::min(stats.x0, x);
      stats.x1 = std::max(stats.x1, x);
      stats.y0 = std::min(stats.y0, y);
      stats.y1 = y;
    }
  }
  return stats.area == 0 ? MaskStats{0, 0, 0, -1, -1} : stats;
}

}  // namespace

std::size_t upsample_threshold_scratch(const UpsampleThresholdParams&) noexcept { return 0; }

MaskStats upsample_threshold(const UpsampleThresholdParams& params, void*) noexcept {
  switch (params.label_type) {
    case LabelType::u8:
      return upsample_typed<std::uint8_t>(params);
    case LabelType::u16:
      return upsample_typed<std::uint16_t>(params);
    case LabelType::u32:
      return upsample_typed<std::uint32_t>(params);
  }
  return MaskStats{0, 0, 0, -1, -1};
}

}  // namespace medsam::kernels::reference
