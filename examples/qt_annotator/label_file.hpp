// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#pragma once

#include <QString>
#include <cstdint>
#include <vector>

#include "picture.hpp"

/// Writes labels (D, H, W) as NIfTI where the picture lies or, of an image, as a gray picture (PNG). The file appears
/// whole or not at all, so that one from before is never half written over. std::runtime_error.
void write_labels(const QString& path, const std::vector<std::uint8_t>& labels, const Picture& picture);
