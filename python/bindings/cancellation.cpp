// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "cancellation.hpp"

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

void Cancellation::report(const py::object& progress, std::int64_t done, std::int64_t total) {
  {
    const py::gil_scoped_acquire acquire;
    try {
      progress(done, total);
      return;
    } catch (...) {
      raised_ = std::current_exception();
    }
  }
  throw Cancelled("progress: the callback raised");
}

}  // namespace medsam::python
