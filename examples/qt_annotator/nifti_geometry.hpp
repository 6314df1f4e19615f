// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Where the voxels of a NIfTI file lie in the patient.
#pragma once

#include <array>
#include <cstddef>
#include <cstring>

#include "picture.hpp"

/// The bytes of a header, and its fields by their offset.
struct NiftiHeader {
  std::array<char, 348> bytes{};

  template <class T>
  [[nodiscard]] T at(std::size_t offset) const {
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
  }
  template <class T>
  void set(std::size_t offset, T value) {
    std::memcpy(bytes.data() + offset, &value, sizeof value);
  }
};

/// Fills in the spacing in mm, of the sform where there is one and of pixdim otherwise, and the directions where the
/// file states them. std::runtime_error: a size of a voxel that cannot be.
void place(Picture& picture, const NiftiHeader& header);
