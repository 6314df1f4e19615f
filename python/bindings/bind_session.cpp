// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Sessions. See bind_engine.cpp for the rules on the GIL; medsam_engine/session.py shapes the arguments.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bind.hpp"
#include "bound_engine.hpp"
#include "cancellation.hpp"
#include "medsam/session.hpp"
#include "numpy_view.hpp"

namespace py = pybind11;

namespace medsam::python {
namespace {

using Float64Array = py::array_t<double, py::array::c_style>;
using ByteArray = py::array_t<std::uint8_t, py::array::c_style>;

struct BoundSession {
  std::unique_ptr<Session> session;
  std::int64_t shape[3];  // D, H, W
};

std::unique_ptr<BoundSession> make_session(const BoundEngine& engine, const py::object& volume,
                                           const std::vector<double>& spacing, const std::string& modality,
                                           std::uint64_t embedding_bytes, std::uint64_t undo_bytes, bool encode_ahead) {
  if (spacing.size() != 3) throw InvalidArgument("spacing: got another number of values, expected 3: x, y, z in mm");
  const BorrowedVolume borrowed = borrow_volume(volume);
  SessionOptions options;
  options.spacing_x = spacing[0];
  options.spacing_y = spacing[1];
  options.spacing_z = spacing[2];
  options.modality = modality;
  options.embedding_bytes = embedding_bytes;
  options.undo_bytes = undo_bytes;
  options.encode_ahead = encode_ahead;
  const std::shared_ptr<const Engine> shared = engine.engine;
  const py::gil_scoped_release release;
  auto session = std::make_unique<Session>(shared, borrowed.view, options);
  return std::make_unique<BoundSession>(
      BoundSession{std::move(session), {borrowed.view.depth, borrowed.view.height, borrowed.view.width}});
}

/// (x0, y0, z0, x1, y1, z1), or None where nothing changed.
py::object changed(const VoxelBox& box) {
  if (box.empty()) return py::none();
  return py::make_tuple(box.x0, box.y0, box.z0, box.x1, box.y1, box.z1);
}

template <class F>
py::object without_gil(F&& call) {
  VoxelBox box;
  {
    const py::gil_scoped_release release;
    box = call();
  }
  return changed(box);
}

std::vector<PlanePoint> points_from(const Float64Array& array) {
  if (array.ndim() != 2 || array.shape(1) != 2) {
    throw InvalidArgument("points: got another shape, expected (N, 2): the plane's two coordinates");
  }
  std::vector<PlanePoint> points(static_cast<std::size_t>(array.shape(0)));
  const double* v = array.data();
  for (PlanePoint& point : points) {
    point = {v[0], v[1]};
    v += 2;
  }
  return points;
}

const double* numbers(const Float64Array& array, py::ssize_t count) {
  if (array.size() != count) {
    throw InvalidArgument("got " + std::to_string(array.size()) + " numbers, expected " + std::to_string(count));
  }
  return array.data();
}

py::object add_box(const BoundSession& self, const std::string& object, const Float64Array& box, int axis,
                   std::int64_t index) {
  const double* v = numbers(box, 4);
  const Box given{v[0], v[1], v[2], v[3]};
  return without_gil([&] { return self.session->add_box(object, given, Plane{axis, index}); });
}

py::object add_box_3d(const BoundSession& self, const std::string& object, const Float64Array& box,
                      const py::object& progress, const py::object& cancelled, const std::string& planes) {
  const double* v = numbers(box, 6);
  const Box3D given{v[0], v[1], v[2], v[3], v[4], v[5]};
  Cancellation cancellation(cancelled);
  VolumeOptions options;
  options.planes = planes_of(planes);
  options.cancelled = cancellation.probe();
  if (!progress.is_none()) {
    options.progress = [report = cancellation.reporter(progress)](const VolumeProgress& p) { report(p.done, p.total); };
  }
  return changed(cancellation.run_without_gil([&] { return self.session->add_box(object, given, options); }));
}

py::object add_mask(const BoundSession& self, const std::string& object, const ByteArray& mask) {
  if (mask.ndim() != 3) throw InvalidArgument("mask: got another number of axes, expected (D, H, W)");
  LabelVolumeView view;
  view.data = const_cast<std::uint8_t*>(mask.data());  // NOLINT(cppcoreguidelines-pro-type-const-cast): only read
  view.type = LabelType::u8;
  view.depth = mask.shape(0);
  view.height = mask.shape(1);
  view.width = mask.shape(2);
  view.row_stride = mask.shape(2);  // dense; numpy's strides of an axis of one are anything
  view.slice_stride = mask.shape(1) * mask.shape(2);
  return without_gil([&] { return self.session->add_mask(object, view); });
}

PropagateDirection direction_of(const std::string& name) {
  if (name == "both") return PropagateDirection::both;
  if (name == "up") return PropagateDirection::up;
  if (name == "down") return PropagateDirection::down;
  throw InvalidArgument("direction: got \"" + name + "\", expected \"both\", \"up\" or \"down\"");
}

py::object propagate(const BoundSession& self, const std::string& object, int axis, const std::string& direction,
                     std::optional<std::int64_t> first, std::optional<std::int64_t> last,
                     std::optional<double> distance, std::optional<double> seconds, const py::object& progress,
                     const py::object& cancelled, const py::object& reached) {
  PropagateOptions options;
  options.axis = axis;
  options.direction = direction_of(direction);
  options.first = first;
  options.last = last;
  options.distance = distance;
  options.seconds = seconds;
  Cancellation cancellation(cancelled);
  options.cancelled = cancellation.probe();
  if (!progress.is_none()) {
    options.progress = [report = cancellation.reporter(progress)](const VolumeProgress& p) { report(p.done, p.total); };
  }
  if (!reached.is_none()) options.reached = cancellation.plane_reporter(reached);
  return changed(cancellation.run_without_gil([&] { return self.session->propagate(object, options); }));
}

LabelVolumeView label_view(py::array& labels, LabelType type) {
  LabelVolumeView view;
  view.data = labels.mutable_data();
  view.type = type;
  view.depth = labels.shape(0);
  view.height = labels.shape(1);
  view.width = labels.shape(2);
  view.slice_stride = labels.strides(0);
  view.row_stride = labels.strides(1);
  return view;
}

py::array mask(const BoundSession& self, const std::string& object,
               const std::optional<std::array<std::int64_t, 6>>& box) {
  VoxelBox voxels{0, 0, 0, self.shape[2] - 1, self.shape[1] - 1, self.shape[0] - 1};
  if (box) {
    const auto& b = *box;
    voxels = {b[0], b[1], b[2], b[3], b[4], b[5]};
  }
  // Of a box outside the volume, which the session refuses, no more than the volume's size.
  const auto size = [](std::int64_t first, std::int64_t last, std::int64_t most) {
    const std::int64_t from = std::clamp<std::int64_t>(first, -1, most), to = std::clamp<std::int64_t>(last, -1, most);
    return std::clamp<std::int64_t>(to - from + 1, 0, most);
  };
  py::array out = new_array(py::dtype::of<bool>(),
                            {size(voxels.z0, voxels.z1, self.shape[0]), size(voxels.y0, voxels.y1, self.shape[1]),
                             size(voxels.x0, voxels.x1, self.shape[2])},
                            "mask");
  const LabelVolumeView view = label_view(out, LabelType::u8);
  const py::gil_scoped_release release;
  self.session->mask(object, voxels, view, 1);
  return out;
}

/// (rows, columns) bool of a plane, or None where the session has no answer at once.
template <class F>
py::object preview(const BoundSession& self, const Plane& plane, F&& call) {
  if (plane.axis < 0 || plane.axis > 2) throw InvalidArgument("plane: got another axis, expected 0, 1 or 2");
  const std::int64_t rows = self.shape[plane.axis == 0 ? 1 : 0], columns = self.shape[plane.axis == 2 ? 1 : 2];
  py::array out = new_array(py::dtype::of<bool>(), {rows, columns}, "preview");
  const LabelView view{out.mutable_data(), LabelType::u8, rows, columns, out.strides(0)};
  bool answered = false;
  {
    const py::gil_scoped_release release;
    answered = call(view);
  }
  return answered ? py::object(out) : py::none();
}

py::array labels(const BoundSession& self) {
  py::array out =
      new_array(py::dtype::of<std::uint16_t>(), {self.shape[0], self.shape[1], self.shape[2]}, "label volume");
  const LabelVolumeView view = label_view(out, LabelType::u16);  // which tells all objects of a session apart
  const py::gil_scoped_release release;
  self.session->labels(view);
  return out;
}

/// Each object as (name, locked, voxels, box or None, prompts).
py::list objects(const BoundSession& self) {
  std::vector<SessionObject> all;
  {
    const py::gil_scoped_release release;
    all = self.session->objects();
  }
  py::list list;
  for (const SessionObject& o : all) list.append(py::make_tuple(o.name, o.locked, o.voxels, changed(o.box), o.prompts));
  return list;
}

py::tuple encoding(const BoundSession& self) {
  const EncodingProgress progress = self.session->encoding();
  return py::make_tuple(progress.encoded, progress.total, progress.idle);
}

using SessionClass = py::class_<BoundSession>;

void register_prompts(SessionClass& session) {
  session.def("add_box", &add_box, py::arg("object"), py::arg("box").noconvert(), py::arg("axis"), py::arg("index"))
      .def("add_box_3d", &add_box_3d, py::arg("object"), py::arg("box").noconvert(), py::kw_only(), py::arg("progress"),
           py::arg("cancelled"), py::arg("planes"))
      .def(
          "add_click",
          [](const BoundSession& self, const std::string& object, double x, double y, bool positive, int axis,
             std::int64_t index) {
            return without_gil([&] { return self.session->add_click(object, {x, y}, positive, Plane{axis, index}); });
          },
          py::arg("object"), py::arg("x"), py::arg("y"), py::arg("positive"), py::arg("axis"), py::arg("index"))
      .def(
          "add_scribble",
          [](const BoundSession& self, const std::string& object, const Float64Array& line, bool positive, int axis,
             std::int64_t index) {
            const std::vector<PlanePoint> points = points_from(line);
            return without_gil([&] {
              return self.session->add_scribble(object, points, positive, Plane{axis, index});
            });
          },
          py::arg("object"), py::arg("line").noconvert(), py::arg("positive"), py::arg("axis"), py::arg("index"))
      .def(
          "add_lasso",
          [](const BoundSession& self, const std::string& object, const Float64Array& outline, int axis,
             std::int64_t index) {
            const std::vector<PlanePoint> points = points_from(outline);
            return without_gil([&] { return self.session->add_lasso(object, points, Plane{axis, index}); });
          },
          py::arg("object"), py::arg("outline").noconvert(), py::arg("axis"), py::arg("index"))
      .def(
          "add_line",
          [](const BoundSession& self, const std::string& object, const Float64Array& ends, int axis,
             std::int64_t index) {
            const double* v = numbers(ends, 4);
            const PlanePoint from{v[0], v[1]}, to{v[2], v[3]};
            return without_gil([&] { return self.session->add_line(object, from, to, Plane{axis, index}); });
          },
          py::arg("object"), py::arg("ends").noconvert(), py::arg("axis"), py::arg("index"))
      .def("add_mask", &add_mask, py::arg("object"), py::arg("mask").noconvert())
      .def("propagate", &propagate, py::arg("object"), py::kw_only(), py::arg("axis"), py::arg("direction"),
           py::arg("first"), py::arg("last"), py::arg("distance"), py::arg("seconds"), py::arg("progress"),
           py::arg("cancelled"), py::arg("reached"));
}

void register_steps(SessionClass& session) {
  session.def("undo", [](const BoundSession& self) { return without_gil([&] { return self.session->undo(); }); })
      .def("redo", [](const BoundSession& self) { return without_gil([&] { return self.session->redo(); }); })
      .def(
          "undo_steps", [](const BoundSession& self) { return self.session->undo_steps(); },
          py::call_guard<py::gil_scoped_release>())
      .def(
          "redo_steps", [](const BoundSession& self) { return self.session->redo_steps(); },
          py::call_guard<py::gil_scoped_release>())
      .def(
          "remove",
          [](const BoundSession& self, const std::string& object) {
            return without_gil([&] { return self.session->remove(object); });
          },
          py::arg("object"))
      .def("reset", [](const BoundSession& self) { return without_gil([&] { return self.session->reset(); }); })
      .def(
          "lock",
          [](const BoundSession& self, const std::string& object, bool locked) { self.session->lock(object, locked); },
          py::arg("object"), py::arg("locked"), py::call_guard<py::gil_scoped_release>())
      .def(
          "save", [](const BoundSession& self, const std::string& path) { self.session->save(path); }, py::arg("path"),
          py::call_guard<py::gil_scoped_release>())
      .def(
          "load",
          [](const BoundSession& self, const std::string& path) {
            return without_gil([&] { return self.session->load(path); });
          },
          py::arg("path"));
}

void register_reading(SessionClass& session) {
  session.def("objects", &objects)
      .def("mask", &mask, py::arg("object"), py::arg("box") = py::none())
      .def(
          "preview_click",
          [](const BoundSession& self, double x, double y, int axis, std::int64_t index) {
            const Plane plane{axis, index};
            return preview(self, plane, [&](const LabelView& out) {
              return self.session->preview_click({x, y}, plane, out);
            });
          },
          py::arg("x"), py::arg("y"), py::arg("axis"), py::arg("index"))
      .def(
          "preview_box",
          [](const BoundSession& self, const Float64Array& box, int axis, std::int64_t index) {
            const double* v = numbers(box, 4);
            const Box given{v[0], v[1], v[2], v[3]};
            const Plane plane{axis, index};
            return preview(self, plane,
                           [&](const LabelView& out) { return self.session->preview_box(given, plane, out); });
          },
          py::arg("box").noconvert(), py::arg("axis"), py::arg("index"))
      .def("labels", &labels)
      .def("encoding", &encoding);
}

}  // namespace

void register_session(py::module_& m) {
  // A session joins its thread when it goes, which may be waiting for an encode whose messages are a queue's.
  SessionClass session(m, "Session", py::release_gil_before_calling_cpp_dtor());
  session.def(py::init(&make_session), py::arg("engine"), py::arg("volume"), py::kw_only(), py::arg("spacing"),
              py::arg("modality"), py::arg("embedding_bytes"), py::arg("undo_bytes"), py::arg("encode_ahead"));
  register_prompts(session);
  register_steps(session);
  register_reading(session);
}

}  // namespace medsam::python
