// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#pragma once

#include <string>

#include "picture.hpp"

/// The volume (the first, where the file holds several) of a little-endian NIfTI-1 file, compressed or not, of 8 or 16
/// bit integers or float32; shown as it is stored. std::runtime_error.
Picture read_nifti(const std::string& path);
