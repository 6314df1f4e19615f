// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#pragma once

#include <QByteArray>
#include <cstdint>
#include <string>
#include <vector>

#include "picture.hpp"

/// The volume (the first, where the file holds several) of a little-endian NIfTI-1 file, compressed or not, of 8 or 16
/// bit integers or float32, through the window. std::exception with one line that names the file.
Picture read_nifti(const std::string& path, const Contrast& contrast);

/// A NIfTI-1 file of labels (D, H, W) where the picture lies, as bytes; gzip where `compressed`. std::runtime_error.
QByteArray nifti_of(const std::vector<std::uint8_t>& labels, const Picture& picture, bool compressed);
