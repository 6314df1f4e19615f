// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What is worked on: an image or a volume as bytes, and how it lies in the patient.
#pragma once

#include <medsam/volume.hpp>

#include <QString>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

/// Which values become black and white, as medsam::WindowOptions has them.
struct Contrast {
  std::string window;    ///< "" = that of the modality, and "percentile" where that is unknown, too.
  std::string modality;  ///< DICOM's code ("CT", "MR", ...), or "".
};

/// An image (depth 1) or a volume, u8, slice after slice, channels interleaved.
struct Picture {
  std::int64_t depth = 0, height = 0, width = 0;
  int channels = 1;  ///< 1 or 3
  std::vector<std::uint8_t> pixels;
  std::array<double, 3> spacing = {1, 1, 1};  ///< mm between columns, rows and slices
  /// The direction in the patient (L, R, A, P, I or S) that the columns', rows' and slices' numbers grow to; 0 = not
  /// known.
  std::array<char, 3> toward = {};
  std::vector<char> nifti_header;  ///< Of the file; empty where it is an image, whose pixels have no known size.

  [[nodiscard]] medsam::VolumeView view() const;
  [[nodiscard]] std::int64_t voxels() const { return depth * height * width; }
};

/// Reads an image that Qt knows (PNG, JPEG, BMP) or a volume in NIfTI-1 (.nii, .nii.gz). Samples of 8 bits of an image
/// stay as they are, all others go through the window. std::exception with one line that names the file.
Picture read_picture(const QString& path, const Contrast& contrast);

/// Whether a path names a NIfTI file.
bool is_nifti(const QString& path);

/// Values (D, H, W) as bytes, through the window. medsam::InvalidArgument: there is no such window.
std::vector<std::uint8_t> windowed(const std::vector<float>& values, const Picture& shape, const Contrast& contrast);
