// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// NumPy arrays in and out: borrowed without a copy where the layout allows, never cast in silence.
#pragma once

#include <pybind11/numpy.h>

#include <string>
#include <vector>

#include "medsam/image.hpp"
#include "medsam/volume.hpp"

namespace medsam::python {

/// An image of the caller as the engine reads it, and what keeps its pixels alive. `owner` needs the GIL to be
/// destroyed, so keep a BorrowedImage outside the block that releases it.
struct BorrowedImage {
  ImageView view;
  pybind11::object owner;
};

/// Borrows `image`: a numpy.ndarray (H, W), (H, W, 1) or (H, W, 3) of uint8, uint16, int16 or float32, writable or not.
/// Any row stride is read in place, negative ones too. Values are copied, never changed, only where pixels are not
/// adjacent (Fortran order, channel-first views, column slices), misaligned, or of the other byte order.
/// InvalidArgument for everything else.
BorrowedImage borrow_image(const pybind11::object& image);

/// A volume of the caller, likewise.
struct BorrowedVolume {
  VolumeView view;
  pybind11::object owner;
};

/// Borrows `volume`: (D, H, W) or (D, H, W, 3), otherwise as borrow_image; any stride from row to row and from slice to
/// slice is read in place.
BorrowedVolume borrow_volume(const pybind11::object& volume);

/// A new, uninitialized, C-ordered array of the caller's own. OutOfMemory names `what` and its size.
pybind11::array new_array(const pybind11::dtype& dtype, const std::vector<pybind11::ssize_t>& shape,
                          const std::string& what);

/// A read-only float32 array over `data`, which lives as long as `owner` does.
pybind11::array readonly_view(const float* data, const std::vector<pybind11::ssize_t>& shape,
                              const pybind11::handle& owner);

}  // namespace medsam::python
