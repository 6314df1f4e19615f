// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The oracle: each step written the obvious way. Every other implementation must give the same bits.
#pragma once

#include "kernels/pixels/math/pixel_math.hpp"
#include "kernels/pixels/math/resize_plan.hpp"
#include "kernels/pixels/pixel_kernels.hpp"

namespace medsam::kernels::reference {

/// The resized image before normalization, dense, in the pixel type of the source.
template <typename T>
void resize(const Pixels& image, const ResizePlan& plan, std::int64_t height, std::int64_t width, T* out) noexcept;

/// True unless the image is f32 and holds a NaN or an infinity.
bool all_finite(const Pixels& image) noexcept;
/// Normalize `image` and pad it, into (3, out_size, out_size). False when the range of an f32 image is not finite.
bool normalize_pad(const Pixels& image, const ResizeNormalizeParams& params, float* out) noexcept;

std::size_t resize_normalize_scratch(const Pixels& image, const ResizeNormalizeParams& params) noexcept;
bool resize_normalize(const Pixels& image, const ResizeNormalizeParams& params, float* out, void* scratch) noexcept;
std::size_t upsample_threshold_scratch(const UpsampleThresholdParams& params) noexcept;
MaskStats upsample_threshold(const UpsampleThresholdParams& params, void* scratch) noexcept;
bool to_f16(const float* in, std::uint16_t* out, std::int64_t n) noexcept;
void from_f16(const std::uint16_t* in, float* out, std::int64_t n) noexcept;
void block_sums(const BlockSumKey& key, const void* block, std::uint64_t sums[kBlockSums]) noexcept;

}  // namespace medsam::kernels::reference
