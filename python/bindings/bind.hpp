// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What each file of this folder adds to the module. Order matters: errors, then types, then the engine that uses both,
// then the folder runner and the session that use it.
#pragma once

#include <pybind11/pybind11.h>

namespace medsam::python {

void register_errors(pybind11::module_& m);
void register_types(pybind11::module_& m);
void register_windows(pybind11::module_& m);
void register_engine(pybind11::module_& m);
void register_folder(pybind11::module_& m);
void register_session(pybind11::module_& m);

}  // namespace medsam::python
