// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The sweeps are compiled once for each kind of table, and compare its tables with the oracle: simd_tables.cpp,
// cuda_host_tables.cpp (the CUDA kernels' bodies on the CPU), cuda_device_tables.cpp (on a GPU).
#pragma once

#include <vector>

#include "kernels/kernels.hpp"

namespace medsam::kernels {

std::vector<const KernelTable*> tables_under_test();
/// True where these tables refuse to resize, so that there is nothing to compare.
bool refused(const Pixels& image, const ResizeNormalizeParams& params);

}  // namespace medsam::kernels
