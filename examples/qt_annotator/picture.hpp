// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What is on the screen: an image, or a volume slice by slice, as bytes.
#pragma once

#include <medsam/image.hpp>

#include <QImage>
#include <QString>
#include <cstdint>
#include <vector>

/// An image (depth 1) or a volume, u8, slice after slice, channels interleaved.
struct Picture {
  std::int64_t depth = 0, height = 0, width = 0;
  int channels = 1;  ///< 1 or 3
  std::vector<std::uint8_t> pixels;

  [[nodiscard]] medsam::ImageView slice(std::int64_t z) const;
  /// A view for Qt; lives with this object.
  [[nodiscard]] QImage image(std::int64_t z) const;
};

/// Reads an image that Qt knows (PNG, JPEG, BMP), or a volume in NIfTI-1 (.nii, .nii.gz). More than 8 bits a sample are
/// stretched from the 0.5 to the 99.5 percentile of what is not 0, as the models were trained. std::runtime_error.
Picture read_picture(const QString& path);

/// The values stretched to bytes by that rule.
std::vector<std::uint8_t> stretched(const std::vector<float>& values);
