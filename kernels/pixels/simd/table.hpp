// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The tables of the Highway targets; dispatch.cpp and kernel_support.cpp use this.
#pragma once

#include <vector>

#include "kernels/pixels/pixel_kernels.hpp"

namespace medsam::kernels {

struct SimdTable {
  const KernelTable* table;
  bool native_f16;  // converts to and from f16 by the processor's own instructions
};

/// Tables of all targets that both this build and this processor have, best last.
std::vector<SimdTable> simd_tables();

}  // namespace medsam::kernels
