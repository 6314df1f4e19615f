// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Bilinear resize with antialiasing of a crop: torch.nn.functional.interpolate(mode="bilinear", antialias=True,
// align_corners=False) of the pixels divided by 255, which is torchvision's Resize(antialias=True) after ToTensor.
//
// Horizontal first, then vertical, sums in the order of the taps, weights in single precision: as ATen does
// (aten/src/ATen/native/cpu/UpSampleKernel.cpp, HelperInterpBase and separable_upsample_generic_Nd_kernel_impl); equal
// to it to 1e-6. There is one implementation, so every SIMD target gives the same bits: next to what a model does with
// a crop its time is nothing.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/pixels/pixel_kernels.hpp"

namespace medsam::kernels {

/// Bytes of scratch that crop_resize needs (64-byte aligned): the weights and two rows, some 32 bytes a column.
std::size_t crop_resize_scratch(const Pixels& crop, std::int64_t side) noexcept;

/// crop: u8, at least 1 x 1, of any size; each axis is reduced or enlarged by itself. out: (3, side, side) planar f32
/// in [0, 1]. One channel fills three equal planes.
void crop_resize(const Pixels& crop, std::int64_t side, float* out, void* scratch) noexcept;

}  // namespace medsam::kernels
