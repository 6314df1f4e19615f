// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "cancellation.hpp"

#include <algorithm>

#include "numpy_view.hpp"

namespace py = pybind11;

namespace medsam::python {

bool Cancellation::asked_to_stop() {
  const py::gil_scoped_acquire acquire;
  try {
    // Runs the interpreter's signal handlers; does nothing on any but the main thread.
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    if (callable_.is_none()) return false;
    const py::object answer = callable_();
    const int truth = PyObject_IsTrue(answer.ptr());
    if (truth < 0) throw py::error_already_set();
    return truth != 0;
  } catch (...) {
    raised_ = std::current_exception();  // must not pass through the engine: it is raised again once the call is over
    return true;
  }
}

std::function<bool(std::int64_t, const LabelView&)> Cancellation::plane_reporter(const py::object& reached) {
  return [this, &reached](std::int64_t index, const LabelView& mask) {
    bool more = true;
    guarded("reached", [&] {
      py::array copy = new_array(py::dtype::of<bool>(), {mask.height, mask.width}, "plane");
      for (std::int64_t y = 0; y < mask.height; ++y) {
        const auto* row = static_cast<const std::uint8_t*>(mask.data) + y * mask.row_stride;
        std::copy_n(row, mask.width, static_cast<std::uint8_t*>(copy.mutable_data()) + y * mask.width);
      }
      const py::object answer = reached(index, copy);
      more = answer.is_none() || static_cast<bool>(py::bool_(answer));
    });
    return more;
  };
}

}  // namespace medsam::python
