// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The tables of the Highway targets; dispatch.cpp alone uses this.
#pragma once

#include <vector>

#include "kernels/pixels/pixel_kernels.hpp"

namespace medsam::kernels {

/// Tables of all targets that both this build and this processor have, best last.
std::vector<const KernelTable*> simd_tables();

}  // namespace medsam::kernels
