// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "nifti_geometry.hpp"

#include <cmath>
#include <optional>
#include <stdexcept>
#include <string>

namespace {

using Column = std::array<double, 3>;  // to the right, to the front, to the head
using Axes = std::array<Column, 3>;    // one step in x, y and z

// The step of each axis by the rows of the sform.
Axes rows_axes(const NiftiHeader& header) {
  Axes axes{};
  for (std::size_t row = 0; row < 3; ++row) {
    for (std::size_t i = 0; i < 3; ++i) axes[i][row] = static_cast<double>(header.at<float>(280 + 16 * row + 4 * i));
  }
  return axes;
}

// The direction of each axis by the quaternion of the qform.
Axes quaternion_axes(const NiftiHeader& header) {
  const double b = static_cast<double>(header.at<float>(256)), c = static_cast<double>(header.at<float>(260)),
               d = static_cast<double>(header.at<float>(264));
  const double a = std::sqrt(std::max(0.0, 1 - b * b - c * c - d * d));
  const double sign = header.at<float>(76) < 0 ? -1 : 1;
  return {{{a * a + b * b - c * c - d * d, 2 * (b * c + a * d), 2 * (b * d - a * c)},
           {2 * (b * c - a * d), a * a + c * c - b * b - d * d, 2 * (c * d + a * b)},
           {sign * 2 * (b * d + a * c), sign * 2 * (c * d - a * b), sign * (a * a + d * d - b * b - c * c)}}};
}

bool has_sform(const NiftiHeader& header) { return header.at<std::int16_t>(254) > 0; }

std::optional<Axes> axes_of(const NiftiHeader& header) {
  if (has_sform(header)) return rows_axes(header);
  if (header.at<std::int16_t>(252) > 0) return quaternion_axes(header);
  return std::nullopt;
}

// The nearest direction of each axis; nothing where two would be the same.
std::array<char, 3> nearest(const Axes& axes) {
  constexpr char kNames[3][2] = {{'L', 'R'}, {'P', 'A'}, {'I', 'S'}};
  std::array<char, 3> letters{};
  std::array<bool, 3> taken{};
  for (std::size_t i = 0; i < 3; ++i) {
    std::size_t most = 0;
    for (std::size_t k = 1; k < 3; ++k) {
      if (std::abs(axes[i][k]) > std::abs(axes[i][most])) most = k;
    }
    if (!std::isfinite(axes[i][most]) || axes[i][most] == 0 || taken[most]) return {};
    taken[most] = true;
    letters[i] = kNames[most][axes[i][most] > 0 ? 1 : 0];
  }
  return letters;
}

double millimeters(const NiftiHeader& header) {
  switch (header.at<char>(123) & 7) {
    case 1:
      return 1000;  // m
    case 3:
      return 0.001;  // um
    default:
      return 1;
  }
}

// How far apart the voxels are, in the file's unit. An sform states it itself; pixdim may say something else then.
std::array<double, 3> steps_of(const NiftiHeader& header) {
  std::array<double, 3> steps{};
  const Axes axes = rows_axes(header);
  for (std::size_t i = 0; i < 3; ++i) {
    steps[i] = has_sform(header) ? std::hypot(axes[i][0], axes[i][1], axes[i][2])
                                 : std::abs(static_cast<double>(header.at<float>(80 + 4 * i)));
  }
  return steps;
}

}  // namespace

void place(Picture& picture, const NiftiHeader& header) {
  const std::array<double, 3> steps = steps_of(header);
  for (std::size_t i = 0; i < 3; ++i) {
    const bool missing = i == 2 && picture.depth == 1 && steps[i] == 0;  // an image in two dimensions
    picture.spacing[i] = missing ? 1 : steps[i] * millimeters(header);
    if (!std::isfinite(picture.spacing[i]) || picture.spacing[i] <= 0) {
      throw std::runtime_error(std::string(has_sform(header) ? "sform" : "pixdim") + ": got " +
                               std::to_string(steps[i]) + ", expected the size of a voxel, above 0");
    }
  }
  if (const std::optional<Axes> axes = axes_of(header)) picture.toward = nearest(*axes);
}
