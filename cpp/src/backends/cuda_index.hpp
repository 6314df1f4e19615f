// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#pragma once

#include <string>

namespace medsam::backends {

/// What a CUDA device is called: "cuda" or "cuda:N". Its number, or -1 for another device's name.
int cuda_index(const std::string& device);

}  // namespace medsam::backends
