// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The extension module medsam_engine._core: registers what the other files of this folder bind, and nothing else.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bind.hpp"
#include "medsam/engine.hpp"

PYBIND11_MODULE(_core, m) {
  m.doc() = "The compiled part of medsam_engine; use the names of medsam_engine instead.";
  medsam::python::register_errors(m);
  medsam::python::register_types(m);
  medsam::python::register_windows(m);
  medsam::python::register_engine(m);
  medsam::python::register_folder(m);
  medsam::python::register_session(m);
  m.def("version", &medsam::version, "The library's version.");
  m.def("profile_names", &medsam::profile_names, "Names of the built-in profiles, sorted.");
  m.def("modality_names", &medsam::modality_names, "The modalities the engine knows, sorted.");
  m.def("canonical_modality", &medsam::canonical_modality, pybind11::arg("word"),
        "The name of modality_names() for a spelling in use; None for a word that names no modality.");
  m.def("simd_target", &medsam::simd_target, "The instruction set the pixel kernels run on in this process.");
}
