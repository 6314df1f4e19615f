// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The sweeps are compiled once for each kind of table, and compare its tables with the oracle: simd_tables.cpp,
// cuda_host_tables.cpp (the CUDA kernels' bodies on the CPU), cuda_device_tables.cpp (on a GPU).
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/pixels/pixel_kernels.hpp"

namespace medsam::kernels {

std::vector<const KernelTable*> tables_under_test();
/// True where these tables refuse to resize, so that there is nothing to compare.
bool refused(const Pixels& image, const ResizeNormalizeParams& params);

/// What the CPU's tables have no entry for.
struct CudaOnly {
  const char* name;
  bool (*all_finite)(const float* values, std::int64_t n);
  void (*upsample_square)(const float* in, std::int64_t height, std::int64_t width, std::int64_t side, float* out);
};
std::vector<CudaOnly> cuda_only_under_test();

}  // namespace medsam::kernels
