// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The exception classes. Translators run last registered first, so the base comes before its children; they are local
// to this module because other pybind11 modules of the process share the global ones.
#include "medsam/error.hpp"

#include "bind.hpp"

namespace py = pybind11;

namespace medsam::python {
namespace {

void describe(const py::handle& type, ErrorCode code, const char* doc) {
  type.attr("__module__") = "medsam_engine";  // where users find it, and where pickle looks it up
  type.attr("__doc__") = doc;
  type.attr("code") = static_cast<int>(code);
}

}  // namespace

void register_errors(py::module_& m) {
  auto& base = py::register_local_exception<Error>(m, "Error", PyExc_Exception);
  base.attr("__module__") = "medsam_engine";
  base.attr("__doc__") = "Base of every error the engine raises. `code` is stable across versions.";
  base.attr("code") = 0;

  const auto with = [&base](PyObject* also) { return py::make_tuple(base, py::handle(also)); };
  describe(py::register_local_exception<InvalidArgument>(m, "InvalidArgument", with(PyExc_ValueError)),
           ErrorCode::invalid_argument, "The caller's input is out of its documented range. Also a ValueError.");
  describe(py::register_local_exception<ModelError>(m, "ModelError", base), ErrorCode::model,
           "The bundle is missing, corrupt, of an unknown version, or does not belong to the embedding at hand.");
  describe(py::register_local_exception<BackendError>(m, "BackendError", base), ErrorCode::backend,
           "The inference library failed; its own text is in the message.");
  describe(py::register_local_exception<OutOfMemory>(m, "OutOfMemory", with(PyExc_MemoryError)),
           ErrorCode::out_of_memory, "An allocation failed. Also a MemoryError.");
  describe(py::register_local_exception<Unsupported>(m, "Unsupported", base), ErrorCode::unsupported,
           "Not possible on this machine, in this process, or with this bundle.");
  describe(py::register_local_exception<Cancelled>(m, "Cancelled", base), ErrorCode::cancelled,
           "The caller's cancellation callback asked to stop.");
}

}  // namespace medsam::python
