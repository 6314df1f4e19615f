// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "numpy_view.hpp"

#include <cstdlib>
#include <optional>

#include "medsam/error.hpp"

namespace py = pybind11;

namespace medsam::python {
namespace {

/// What the caller passed, in messages.
struct Wanted {
  const char* name;
  const char* shape;
};
constexpr Wanted kImage{"image", "(H, W) or (H, W, 3)"};
constexpr Wanted kVolume{"volume", "(D, H, W) or (D, H, W, 3)"};

std::string text_of(const py::handle& object) { return py::str(object).cast<std::string>(); }

[[noreturn]] void reject(const Wanted& wanted, const std::string& got, const std::string& remedy) {
  throw InvalidArgument(std::string(wanted.name) + ": got " + got + ", expected a numpy.ndarray " + wanted.shape +
                        " of uint8, uint16, int16 or float32; " + remedy);
}

std::optional<PixelType> pixel_type(const py::dtype& dtype) {
  if (dtype.kind() == 'u' && dtype.itemsize() == 1) return PixelType::u8;
  if (dtype.kind() == 'u' && dtype.itemsize() == 2) return PixelType::u16;
  if (dtype.kind() == 'i' && dtype.itemsize() == 2) return PixelType::i16;
  if (dtype.kind() == 'f' && dtype.itemsize() == 4) return PixelType::f32;
  return std::nullopt;
}

std::string dtype_remedy(const py::dtype& dtype) {
  switch (dtype.kind()) {
    case 'b':
      return "convert a mask with astype(numpy.uint8)";
    case 'f':
      return "convert with astype(numpy.float32)";
    case 'i':
    case 'u':
      return "convert with astype(numpy.int16) or another accepted type that holds its values";
    default:
      return "convert to one of these types";
  }
}

/// numpy.ndarray or a subclass that is only another way to hold the same pixels; a masked array hides some of them.
py::array checked_array(const py::object& image, const Wanted& wanted) {
  if (!py::isinstance<py::array>(image)) {
    reject(wanted, text_of(py::type::of(image).attr("__name__")), "convert with numpy.asarray(image)");
  }
  if (py::hasattr(image, "mask") && py::hasattr(image, "filled")) {
    reject(wanted, "a masked array", "choose the value of masked pixels with its method filled(value)");
  }
  return py::reinterpret_borrow<py::array>(image);
}

void check_image_shape(const py::array& array) {
  const std::string shape = "shape " + text_of(array.attr("shape"));
  if (array.ndim() != 2 && array.ndim() != 3) {
    reject(kImage, shape, array.ndim() == 4 ? "pass one image at a time" : "pass an image, not a list of pixels");
  }
  if (array.ndim() == 3 && array.shape(2) != 1 && array.shape(2) != 3) {
    if (array.shape(2) == 4) reject(kImage, shape, "drop or flatten the alpha channel first, e.g. image[..., :3]");
    if (array.shape(0) == 1 || array.shape(0) == 3) {
      reject(kImage, shape, "move the channels last with numpy.moveaxis(image, 0, -1)");
    }
    reject(kImage, shape, "a volume goes to segment_volume");
  }
  if (array.size() == 0) reject(kImage, "an empty image of " + shape, "pass at least one pixel");
}

void check_volume_shape(const py::array& array) {
  const std::string shape = "shape " + text_of(array.attr("shape"));
  if (array.ndim() != 3 && !(array.ndim() == 4 && (array.shape(3) == 1 || array.shape(3) == 3))) {
    reject(kVolume, shape, "pass the slices along the first axis, one volume at a time");
  }
  if (array.size() == 0) reject(kVolume, "an empty volume of " + shape, "pass at least one voxel");
}

/// Whether the pixels of a row are adjacent and rows do not overlap; `row` is the axis of rows.
bool pixels_adjacent(const py::array& array, py::ssize_t row) {
  const py::ssize_t item = array.itemsize();
  const py::ssize_t channels = array.ndim() == row + 3 ? array.shape(row + 2) : 1;
  // NumPy leaves the stride of an axis of length 1 undefined, so only axes that are walked count.
  if (channels > 1 && array.strides(row + 2) != item) return false;
  if (array.shape(row + 1) > 1 && array.strides(row + 1) != channels * item) return false;
  // Rows or slices that overlap (numpy.broadcast_to gives a stride of 0) are copied: nothing else in the engine expects
  // them.
  const py::ssize_t row_bytes = array.shape(row + 1) * channels * item;
  if (array.shape(row) > 1 && std::abs(array.strides(row)) < row_bytes) return false;
  if (row == 0 || array.shape(0) == 1) return true;
  const py::ssize_t rows = array.shape(row) > 1 ? std::abs(array.strides(row)) * (array.shape(row) - 1) : 0;
  return std::abs(array.strides(0)) >= rows + row_bytes;
}

/// The array itself when the engine can read it where it is, else a native, aligned, C-ordered copy.
py::array readable(const py::array& array, py::ssize_t row) {
  const bool native = py::cast<bool>(array.dtype().attr("isnative"));
  const bool aligned = (array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_) != 0;
  if (native && aligned && pixels_adjacent(array, row)) return array;
  return array.attr("astype")(array.dtype().attr("newbyteorder")("="), py::arg("order") = "C", py::arg("copy") = true,
                              py::arg("subok") = false);
}

PixelType checked_type(const py::array& array, const Wanted& wanted) {
  const std::optional<PixelType> type = pixel_type(array.dtype());
  if (!type) reject(wanted, "dtype " + text_of(array.dtype()), dtype_remedy(array.dtype()));
  return *type;
}

}  // namespace

BorrowedImage borrow_image(const py::object& image) {
  py::array array = checked_array(image, kImage);
  BorrowedImage borrowed;
  borrowed.view.type = checked_type(array, kImage);
  check_image_shape(array);
  array = readable(array, 0);
  borrowed.view.data = array.data();
  borrowed.view.height = array.shape(0);
  borrowed.view.width = array.shape(1);
  borrowed.view.channels = array.ndim() == 3 ? static_cast<int>(array.shape(2)) : 1;
  borrowed.view.row_stride =
      array.shape(0) > 1 ? array.strides(0) : array.shape(1) * borrowed.view.channels * array.itemsize();
  borrowed.owner = std::move(array);
  return borrowed;
}

BorrowedVolume borrow_volume(const py::object& volume) {
  py::array array = checked_array(volume, kVolume);
  BorrowedVolume borrowed;
  borrowed.view.type = checked_type(array, kVolume);
  check_volume_shape(array);
  array = readable(array, 1);
  borrowed.view.data = array.data();
  borrowed.view.depth = array.shape(0);
  borrowed.view.height = array.shape(1);
  borrowed.view.width = array.shape(2);
  borrowed.view.channels = array.ndim() == 4 ? static_cast<int>(array.shape(3)) : 1;
  const py::ssize_t row = array.shape(2) * borrowed.view.channels * array.itemsize();
  borrowed.view.row_stride = array.shape(1) > 1 ? array.strides(1) : row;
  borrowed.view.slice_stride =
      array.shape(0) > 1 ? array.strides(0) : std::abs(borrowed.view.row_stride) * array.shape(1);
  borrowed.owner = std::move(array);
  return borrowed;
}

py::array new_array(const py::dtype& dtype, const std::vector<py::ssize_t>& shape, const std::string& what) {
  try {
    return {dtype, shape};
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_MemoryError)) throw;
    double mib = static_cast<double>(dtype.itemsize()) / (1024.0 * 1024.0);
    for (const py::ssize_t n : shape) mib *= static_cast<double>(n);
    throw OutOfMemory(what + ": got no memory for " + std::to_string(static_cast<std::int64_t>(mib)) +
                      " MiB, expected as much free; ask for fewer at a time");
  }
}

py::array readonly_view(const float* data, const std::vector<py::ssize_t>& shape, const py::handle& owner) {
  py::array view(py::dtype::of<float>(), shape, {}, data, owner);
  view.attr("setflags")(py::arg("write") = false);
  return view;
}

}  // namespace medsam::python
