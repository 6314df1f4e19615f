// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Folders of challenge cases: FolderRun. See bind_engine.cpp for the rules on the GIL.
#include <pybind11/stl.h>

#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bind.hpp"
#include "bound_engine.hpp"
#include "cancellation.hpp"
#include "medsam/folder.hpp"

namespace py = pybind11;

namespace medsam::python {
namespace {

/// What the run calls; set for the duration of one call, since no Python object may live in a C++ member.
struct Hooks {
  std::function<void(const FolderProgress&)> progress;
  std::function<void(const CaseReport&)> finished;
  std::function<bool()> cancelled;
};

struct BoundFolderRun {
  std::unique_ptr<Hooks> hooks;
  FolderRun run;
};

/// A file's name or a message that holds one, as os.fsdecode gives it: it need not be UTF-8.
py::str decoded(const std::string& text) {
  PyObject* const object = PyUnicode_DecodeFSDefaultAndSize(text.data(), static_cast<py::ssize_t>(text.size()));
  if (object == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::str>(object);
}

/// Calls Python from the run, which must see no exception: the first one is kept and the run asked to stop.
class Callbacks {
 public:
  template <class... Arguments>
  void call(const py::object& function, const Arguments&... arguments) {
    const py::gil_scoped_acquire acquire;
    try {
      if (!raised_ && !function.is_none()) function(arguments()...);
    } catch (...) {
      raised_ = std::current_exception();
    }
  }
  [[nodiscard]] const std::exception_ptr& raised() const { return raised_; }

 private:
  std::exception_ptr raised_;
};

std::unique_ptr<BoundFolderRun> make_run(const std::string& input, const std::string& output, bool overwrite,
                                         const std::string& csv, const std::string& modality, std::uint64_t max_bytes,
                                         const std::vector<std::string>& also_read) {
  auto hooks = std::make_unique<Hooks>();
  FolderOptions options;
  options.input = input;
  options.output = output;
  options.overwrite = overwrite;
  options.csv = csv;
  options.modality = modality;
  options.max_bytes = max_bytes;
  options.also_read = also_read;
  options.progress = [hook = hooks.get()](const FolderProgress& p) { hook->progress(p); };
  options.finished = [hook = hooks.get()](const CaseReport& r) { hook->finished(r); };
  options.cancelled = [hook = hooks.get()] { return hook->cancelled(); };
  const py::gil_scoped_release release;
  return std::make_unique<BoundFolderRun>(BoundFolderRun{std::move(hooks), FolderRun(std::move(options))});
}

FolderReport run(BoundFolderRun& self, const BoundEngine* engine, const py::object& progress,
                 const py::object& finished, const py::object& cancelled) {
  Callbacks callbacks;
  Cancellation cancellation(cancelled);
  // Arguments are made once the GIL is held.
  self.hooks->progress = [&](const FolderProgress& p) {
    callbacks.call(
        progress, [&] { return p.case_index; }, [&] { return p.case_count; }, [&] { return decoded(p.name); },
        [&] { return p.step; }, [&] { return p.steps; });
  };
  self.hooks->finished = [&](const CaseReport& r) { callbacks.call(finished, [&] { return r; }); };
  self.hooks->cancelled = [&, probe = cancellation.probe()] { return callbacks.raised() != nullptr || probe(); };
  FolderReport report = cancellation.run_without_gil([&] {
    FolderReport made = engine == nullptr ? self.run.run() : self.run.run(*engine->engine);
    if (made.cancelled && !callbacks.raised()) throw Cancelled("run: asked to stop; run again to go on");
    return made;
  });
  if (callbacks.raised()) std::rethrow_exception(callbacks.raised());
  return report;
}

const char* status_name(CaseStatus status) {
  if (status == CaseStatus::done) return "done";
  return status == CaseStatus::skipped ? "skipped" : "failed";
}

void register_reports(py::module_& m) {
  py::class_<CaseReport>(m, "CaseReport", "What became of one case; times in seconds.")
      .def_property_readonly("name", [](const CaseReport& r) { return decoded(r.name); })
      .def_property_readonly("status", [](const CaseReport& r) { return status_name(r.status); })
      .def_property_readonly("message", [](const CaseReport& r) { return decoded(r.message); })
      .def_readonly("objects", &CaseReport::objects)
      .def_readonly("empty_objects", &CaseReport::empty_objects)
      .def_readonly("slices", &CaseReport::slices)
      .def_readonly("read_s", &CaseReport::read_s)
      .def_readonly("segment_s", &CaseReport::segment_s)
      .def_readonly("write_s", &CaseReport::write_s);
  py::class_<FolderReport>(m, "FolderReport", "What became of all cases of a folder.")
      .def_readonly("cases", &FolderReport::cases)
      .def_readonly("done", &FolderReport::done)
      .def_readonly("skipped", &FolderReport::skipped)
      .def_readonly("failed", &FolderReport::failed)
      .def_readonly("wall_s", &FolderReport::wall_s)
      .def_property_readonly("csv_fault", [](const FolderReport& r) { return decoded(r.csv_fault); });
}

}  // namespace

void register_folder(py::module_& m) {
  register_reports(m);
  m.def("default_max_bytes", &default_max_bytes);
  // The run joins its reader when it goes.
  py::class_<BoundFolderRun>(m, "FolderRun", py::release_gil_before_calling_cpp_dtor())
      .def(py::init(&make_run), py::arg("input_folder"), py::arg("output_folder"), py::kw_only(), py::arg("overwrite"),
           py::arg("csv"), py::arg("modality"), py::arg("max_bytes"), py::arg("also_read"))
      .def_property_readonly("size", [](const BoundFolderRun& self) { return self.run.size(); })
      .def_property_readonly("pending", [](const BoundFolderRun& self) { return self.run.pending(); })
      .def("run", &run, py::arg("engine").none(true), py::kw_only(), py::arg("progress"), py::arg("finished"),
           py::arg("cancelled"));
}

}  // namespace medsam::python
