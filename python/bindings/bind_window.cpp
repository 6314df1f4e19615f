// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Windows of intensities: NumPy arrays of any real type, slice by slice, without a copy of the whole.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bind.hpp"
#include "medsam/error.hpp"
#include "medsam/window.hpp"

namespace py = pybind11;

namespace medsam::python {
namespace {

using Interval = std::optional<std::pair<double, double>>;
using Padding = std::vector<Interval>;

std::optional<ValueInterval> interval_from(const Interval& interval) {
  if (!interval) return std::nullopt;
  return ValueInterval{interval->first, interval->second};
}

/// The type in which values of a dtype are read, and NumPy's for it: the same but for bool, float16 and long double,
/// and for the other byte order.
struct Readable {
  SampleType type;
  py::dtype dtype;
};

template <class T>
Readable readable_as(SampleType type) {
  return {type, py::dtype::of<T>()};
}

Readable readable(const py::dtype& dtype) {
  switch (dtype.kind()) {
    case 'b':
      return readable_as<std::int8_t>(SampleType::i8);  // not u8, which the default window leaves as it is
    case 'u':
      if (dtype.itemsize() == 1) return readable_as<std::uint8_t>(SampleType::u8);
      if (dtype.itemsize() == 2) return readable_as<std::uint16_t>(SampleType::u16);
      if (dtype.itemsize() == 4) return readable_as<std::uint32_t>(SampleType::u32);
      return readable_as<std::uint64_t>(SampleType::u64);
    case 'i':
      if (dtype.itemsize() == 1) return readable_as<std::int8_t>(SampleType::i8);
      if (dtype.itemsize() == 2) return readable_as<std::int16_t>(SampleType::i16);
      if (dtype.itemsize() == 4) return readable_as<std::int32_t>(SampleType::i32);
      return readable_as<std::int64_t>(SampleType::i64);
    case 'f':
      if (dtype.itemsize() <= 4) return readable_as<float>(SampleType::f32);
      return readable_as<double>(SampleType::f64);
    default:
      throw InvalidArgument("window: got values of dtype " + py::str(dtype).cast<std::string>() +
                            ", expected real numbers; convert them to one of NumPy's types for integers or floats");
  }
}

void check_values(const py::array& values) {
  if (py::hasattr(values, "mask") && py::hasattr(values, "filled")) {
    throw InvalidArgument(
        "window: got a masked array, expected a plain one; choose the value of masked pixels with "
        "its method filled(value)");
  }
}

/// `values` as one row that C++ can read, and the array that owns it: `values` itself where its layout allows.
std::pair<SampleView, py::array> borrow_row(const py::object& values, const Readable& wanted) {
  const auto require = py::module_::import("numpy").attr("require");
  py::array owner = require(values, wanted.dtype, py::make_tuple("C", "A", "E"));
  const std::int64_t bytes = owner.size() * wanted.dtype.itemsize();
  return {SampleView{owner.data(), wanted.type, 1, owner.size(), bytes}, owner};
}

IntensityWindow resolve(const py::array& values, const std::string& window, const std::string& modality, bool color,
                        bool hounsfield, const Padding& padding) {
  check_values(values);
  if (values.ndim() < 1) throw InvalidArgument("window: got a single number, expected an array of values");
  const Readable wanted = readable(values.dtype());
  WindowOptions options;
  options.window = window;
  options.modality = modality;
  options.color = color;
  options.hounsfield = hounsfield;
  for (const Interval& interval : padding) options.padding.push_back(interval_from(interval));
  py::array owner;  // of the slice that is being read; outside the block without the GIL, which its end needs
  const SliceSource slices = [&](std::int64_t k) {
    const py::gil_scoped_acquire acquire;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    auto [view, array] = borrow_row(values[py::int_(k)], wanted);
    owner = std::move(array);
    return view;
  };
  const py::gil_scoped_release release;
  return resolve_window(values.shape(0), wanted.type, slices, options);
}

void apply(const IntensityWindow& window, const py::array& values, const Interval& padding, py::array& out) {
  check_values(values);
  const bool bytes = out.dtype().kind() == 'u' && out.itemsize() == 1;
  if (!bytes || out.size() != values.size() || (out.flags() & py::array::c_style) == 0) {
    throw InvalidArgument("window: got out of another size, type or layout, expected " + std::to_string(values.size()) +
                          " values of uint8, C-contiguous");
  }
  const auto [view, owner] = borrow_row(values, readable(values.dtype()));
  auto* const pixels = static_cast<std::uint8_t*>(out.mutable_data());
  const std::optional<ValueInterval> hidden = interval_from(padding);
  const py::gil_scoped_release release;
  apply_window(window, view, hidden, pixels, view.width);
}

py::dict presets() {
  py::dict named;
  for (const CtPreset& preset : ct_presets()) named[py::str(preset.name)] = py::make_tuple(preset.width, preset.level);
  return named;
}

}  // namespace

void register_windows(py::module_& m) {
  py::class_<IntensityWindow>(m, "IntensityWindow", "A window as it was resolved for one image or volume.")
      .def_property_readonly(
          "unchanged", [](const IntensityWindow& w) { return w.rule == IntensityWindow::Rule::unchanged; },
          "Whether the engine takes the values as they are.")
      .def_readonly("low", &IntensityWindow::low, "Values below are taken for this.")
      .def_readonly("high", &IntensityWindow::high, "Values above are taken for this.")
      .def_readonly("darkest", &IntensityWindow::darkest, "The clipped value that becomes 0.")
      .def_readonly("brightest", &IntensityWindow::brightest, "The clipped value that becomes 255.")
      .def_readonly("zeros_stay", &IntensityWindow::zeros_stay, "Whether values of exactly 0 become 0.");
  m.def("resolve_window", &resolve, py::arg("values"), py::arg("window"), py::arg("modality"), py::arg("color"),
        py::arg("hounsfield"), py::arg("padding"));
  m.def("apply_window", &apply, py::arg("window"), py::arg("values"), py::arg("padding"), py::arg("out").noconvert());
  m.def("default_window", &default_window, py::arg("modality"), py::arg("hounsfield"));
  m.def("check_window", &check_window, py::arg("window"));
  m.def("ct_presets", &presets);
}

}  // namespace medsam::python
