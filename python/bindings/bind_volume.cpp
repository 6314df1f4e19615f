// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Volumes: Engine.segment_volume. See bind_engine.cpp for the rules on the GIL.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <string>
#include <vector>

#include "bound_engine.hpp"
#include "cancellation.hpp"
#include "numpy_view.hpp"

namespace py = pybind11;

namespace medsam::python {
namespace {

using Float64Array = py::array_t<double, py::array::c_style>;

std::vector<Box3D> boxes_from(const Float64Array& array) {
  if (array.ndim() != 2 || array.shape(1) != 6) {
    throw InvalidArgument("boxes: got " + std::to_string(array.ndim()) +
                          " dimensions or another width, expected (N, 6): x0, y0, z0, x1, y1, z1");
  }
  std::vector<Box3D> boxes(static_cast<std::size_t>(array.shape(0)));
  const double* v = array.data();
  for (Box3D& box : boxes) {
    box = {v[0], v[1], v[2], v[3], v[4], v[5]};
    v += 6;
  }
  return boxes;
}

LabelVolumeView label_view(py::array& labels) {
  LabelVolumeView view;
  view.data = labels.mutable_data();
  view.type = labels.itemsize() == 2 ? LabelType::u16 : LabelType::u32;
  view.depth = labels.shape(0);
  view.height = labels.shape(1);
  view.width = labels.shape(2);
  view.slice_stride = labels.strides(0);
  view.row_stride = labels.strides(1);
  return view;
}

/// Each object as (voxels, x0, y0, z0, x1, y1, z1, iou).
py::list stats_list(const std::vector<VolumeStats>& stats) {
  py::list list;
  for (const VolumeStats& s : stats) {
    list.append(py::make_tuple(s.voxels, s.x0, s.y0, s.z0, s.x1, s.y1, s.z1, s.iou));
  }
  return list;
}

/// (labels, stats_list): the caller's own.
py::tuple segment_volume(const BoundEngine& self, const py::object& volume, const Float64Array& box_array,
                         const std::string& profile, const std::string& modality, const py::object& progress,
                         const py::object& cancelled, const std::string& planes, const std::vector<double>& spacing) {
  if (spacing.size() != 3) {
    throw InvalidArgument("spacing: got " + std::to_string(spacing.size()) +
                          " values, expected 3: x, y, z in mm; give one for each axis");
  }
  const std::vector<Box3D> boxes = boxes_from(box_array);
  const BorrowedVolume borrowed = borrow_volume(volume);
  const py::dtype dtype = boxes.size() > 65535 ? py::dtype::of<std::uint32_t>() : py::dtype::of<std::uint16_t>();
  py::array labels = new_array(dtype, {borrowed.view.depth, borrowed.view.height, borrowed.view.width}, "label volume");
  const LabelVolumeView view = label_view(labels);
  Cancellation cancellation(cancelled);
  VolumeOptions options;
  options.planes = planes_of(planes);
  options.spacing_x = spacing[0];
  options.spacing_y = spacing[1];
  options.spacing_z = spacing[2];
  options.profile = profile;
  options.modality = modality;
  options.cancelled = cancellation.probe();
  if (!progress.is_none()) {
    options.progress = [report = cancellation.reporter(progress)](const VolumeProgress& p) { report(p.done, p.total); };
  }
  const auto stats =
      cancellation.run_without_gil([&] { return self.engine->segment_volume(borrowed.view, boxes, view, options); });
  return py::make_tuple(labels, stats_list(stats));
}

}  // namespace

VolumePlanes planes_of(const std::string& name) {
  if (name == "slices") return VolumePlanes::slices;
  if (name == "three") return VolumePlanes::three;
  throw InvalidArgument("planes: got \"" + name + "\", expected \"slices\" or \"three\"");
}

void register_volume(py::class_<BoundEngine>& engine) {
  engine.def("segment_volume", &segment_volume, py::arg("volume"), py::arg("boxes").noconvert(), py::kw_only(),
             py::arg("profile"), py::arg("modality"), py::arg("progress"), py::arg("cancelled"), py::arg("planes"),
             py::arg("spacing"));
}

}  // namespace medsam::python
