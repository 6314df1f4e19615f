// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The engine. Arguments are taken by const reference and the GIL is released in an inner block, so that no Python
// object is touched or destroyed without it. medsam_engine/engine.py checks and shapes the prompts; the checks here
// only keep memory safe.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bind.hpp"
#include "bound_engine.hpp"
#include "cancellation.hpp"
#include "medsam/engine.hpp"
#include "numpy_view.hpp"

namespace py = pybind11;

namespace medsam::python {
namespace {

using Float64Array = py::array_t<double, py::array::c_style>;
using Float32Array = py::array_t<float, py::array::c_style>;
using Int32Array = py::array_t<std::int32_t, py::array::c_style>;
using ByteArray = py::array_t<std::uint8_t, py::array::c_style>;

EmbeddingStorage embedding_storage(const std::string& name) {
  if (name == "f32") return EmbeddingStorage::f32;
  if (name == "f16") return EmbeddingStorage::f16;
  throw InvalidArgument("embedding_storage: got \"" + name + "\", expected \"f32\" or \"f16\"; f32 is the default");
}

std::unique_ptr<BoundEngine> make_engine(const std::string& bundle, const std::string& device,
                                         const std::string& precision, bool trust_bundle_certificates,
                                         bool allow_uncertified, int threads, const std::string& profile,
                                         const std::string& cache_dir, std::uint64_t cache_bytes,
                                         const std::string& storage, const std::string& store,
                                         std::uint64_t store_bytes, const std::string& modality,
                                         std::size_t expert_limit, bool verify) {
  auto messages = std::make_shared<MessageQueue>();
  EngineOptions options;
  options.device = device;
  options.precision = precision;
  options.trust_bundle_certificates = trust_bundle_certificates;
  options.allow_uncertified = allow_uncertified;
  options.threads = threads;
  options.profile = profile;
  options.cache_dir = cache_dir;
  options.cache_bytes = cache_bytes;
  options.embedding_storage = embedding_storage(storage);
  options.embedding_store = store;
  options.embedding_store_bytes = store_bytes;
  options.modality = modality;
  options.expert_limit = expert_limit;
  options.verify = verify;
  options.log = [messages](LogLevel level, const std::string& text) { messages->push(level, text); };
  const py::gil_scoped_release release;
  return std::make_unique<BoundEngine>(
      BoundEngine{messages, std::make_shared<const Engine>(bundle, std::move(options))});
}

void require_shape(const py::array& array, const std::vector<py::ssize_t>& shape, const char* name) {
  if (!std::equal(shape.begin(), shape.end(), array.shape(), array.shape() + array.ndim())) {
    throw InvalidArgument(std::string(name) + ": got shape " + py::str(array.attr("shape")).cast<std::string>() +
                          ", expected " + py::str(py::tuple(py::cast(shape))).cast<std::string>() +
                          "; give every prompt of the call the same kinds of input");
  }
}

std::vector<Box> boxes_from(const Float64Array& array) {
  require_shape(array, {array.ndim() > 0 ? array.shape(0) : 0, 4}, "boxes");
  std::vector<Box> boxes(static_cast<std::size_t>(array.shape(0)));
  const double* v = array.data();
  for (Box& box : boxes) {
    box = {v[0], v[1], v[2], v[3]};
    v += 4;
  }
  return boxes;
}

/// The arrays of one predict call: boxes (N, 4), point_coords (N, P, 2), point_labels (N, P), mask_input (N, h, w),
/// scribble (N, H, W) bytes.
struct PromptArrays {
  const std::optional<Float64Array>& boxes;
  const std::optional<Float64Array>& point_coords;
  const std::optional<Int32Array>& point_labels;
  const std::optional<Float32Array>& mask_input;
  const std::optional<ByteArray>& scribble;
};

std::vector<Prompt> prompts_from(const PromptArrays& arrays, const EngineInfo& info, py::ssize_t count) {
  std::vector<Prompt> prompts(static_cast<std::size_t>(count));
  if (arrays.boxes) {
    require_shape(*arrays.boxes, {count, 4}, "box");
    const std::vector<Box> boxes = boxes_from(*arrays.boxes);
    for (std::size_t n = 0; n < prompts.size(); ++n) prompts[n].box = boxes[n];
  }
  if (arrays.point_coords && arrays.point_labels) {
    const py::ssize_t points = arrays.point_coords->ndim() == 3 ? arrays.point_coords->shape(1) : 0;
    require_shape(*arrays.point_coords, {count, points, 2}, "point_coords");
    require_shape(*arrays.point_labels, {count, points}, "point_labels");
    const double* xy = arrays.point_coords->data();
    const std::int32_t* label = arrays.point_labels->data();
    for (Prompt& prompt : prompts) {
      for (py::ssize_t p = 0; p < points; ++p, xy += 2, ++label) prompt.points.push_back({xy[0], xy[1], *label});
    }
  }
  if (arrays.mask_input) {
    const py::ssize_t height = info.mask_shape.at(0);
    const py::ssize_t width = info.mask_shape.at(1);
    require_shape(*arrays.mask_input, {count, height, width}, "mask_input");
    const float* mask = arrays.mask_input->data();
    for (Prompt& prompt : prompts) {
      prompt.mask_input = mask;
      mask += height * width;
    }
  }
  if (arrays.scribble) {
    const py::array& drawn = *arrays.scribble;
    if (drawn.ndim() != 3 || drawn.shape(0) != count) {
      throw InvalidArgument("scribble: got another number of prompts, expected " + std::to_string(count));
    }
    const std::uint8_t* pixels = arrays.scribble->data();
    for (Prompt& prompt : prompts) {
      prompt.scribble = {pixels, drawn.shape(1), drawn.shape(2), drawn.shape(2)};
      pixels += drawn.shape(1) * drawn.shape(2);
    }
  }
  return prompts;
}

ImageEmbedding encode(const BoundEngine& self, const py::object& image, const std::string& modality) {
  const BorrowedImage borrowed = borrow_image(image);
  const py::gil_scoped_release release;
  return self.engine->encode(borrowed.view, {modality});
}

Prediction predict(const BoundEngine& self, const ImageEmbedding& embedding, py::ssize_t count,
                   const std::optional<Float64Array>& boxes, const std::optional<Float64Array>& point_coords,
                   const std::optional<Int32Array>& point_labels, const std::optional<Float32Array>& mask_input,
                   const std::optional<ByteArray>& scribble, bool multimask_output, bool allow_untrained,
                   const py::object& cancelled) {
  const std::vector<Prompt> prompts =
      prompts_from({boxes, point_coords, point_labels, mask_input, scribble}, self.engine->info(), count);
  Cancellation cancellation(cancelled);
  PredictOptions options;
  options.multimask_output = multimask_output;
  options.allow_untrained = allow_untrained;
  options.cancelled = cancellation.probe();
  return cancellation.run_without_gil([&] { return self.engine->predict(embedding, prompts, options); });
}

void check_prompt(const BoundEngine& self, const std::vector<std::string>& kinds, bool allow_untrained) {
  PromptKinds all = PromptKinds::none;
  for (const std::string& given : kinds) {
    const auto named = [&](const auto& known) { return given == known.second; };
    const auto* const found = std::find_if(std::begin(kPromptKindNames), std::end(kPromptKindNames), named);
    if (found == std::end(kPromptKindNames)) {
      throw InvalidArgument("prompt: got the kind \"" + given + "\", expected box, points, mask or scribble");
    }
    all = all | found->first;
  }
  PredictOptions options;
  options.allow_untrained = allow_untrained;
  self.engine->check_prompt(all, options);
}

LabelView label_view(py::array& labels) {
  LabelView view;
  view.data = labels.mutable_data();
  view.type = labels.itemsize() == 2 ? LabelType::u16 : LabelType::u32;
  view.height = labels.shape(0);
  view.width = labels.shape(1);
  view.row_stride = labels.strides(0);
  return view;
}

py::array new_label_map(std::int64_t height, std::int64_t width, std::size_t labels) {
  const py::dtype dtype = labels > 65535 ? py::dtype::of<std::uint32_t>() : py::dtype::of<std::uint16_t>();
  return new_array(dtype, {height, width}, "label map");
}

/// Each mask as (area, x0, y0, x1, y1, iou).
py::list stats_list(const std::vector<MaskStats>& stats) {
  py::list list;
  for (const MaskStats& s : stats) list.append(py::make_tuple(s.area, s.x0, s.y0, s.x1, s.y1, s.iou));
  return list;
}

/// (labels, stats_list): the caller's own.
py::tuple segment(const BoundEngine& self, const py::object& image, const Float64Array& box_array,
                  const std::string& modality, const py::object& cancelled) {
  const std::vector<Box> boxes = boxes_from(box_array);
  Cancellation cancellation(cancelled);
  const SegmentOptions options{cancellation.probe(), modality};
  if (py::isinstance<ImageEmbedding>(image)) {
    const auto& embedding = image.cast<const ImageEmbedding&>();
    py::array labels = new_label_map(embedding.height(), embedding.width(), boxes.size());
    const LabelView view = label_view(labels);
    const auto stats =
        cancellation.run_without_gil([&] { return self.engine->segment(embedding, boxes, view, options); });
    return py::make_tuple(labels, stats_list(stats));
  }
  const BorrowedImage borrowed = borrow_image(image);
  py::array labels = new_label_map(borrowed.view.height, borrowed.view.width, boxes.size());
  const LabelView view = label_view(labels);
  const auto stats =
      cancellation.run_without_gil([&] { return self.engine->segment(borrowed.view, boxes, view, options); });
  return py::make_tuple(labels, stats_list(stats));
}

}  // namespace

void register_engine(py::module_& m) {
  // An engine joins its worker threads when it goes; they may be waiting for the GIL.
  py::class_<BoundEngine> engine(m, "Engine", py::release_gil_before_calling_cpp_dtor());
  engine
      .def(py::init(&make_engine), py::arg("bundle"), py::kw_only(), py::arg("device"), py::arg("precision"),
           py::arg("trust_bundle_certificates"), py::arg("allow_uncertified"), py::arg("threads"), py::arg("profile"),
           py::arg("cache_dir"), py::arg("cache_bytes"), py::arg("embedding_storage"), py::arg("embedding_store"),
           py::arg("embedding_store_bytes"), py::arg("modality"), py::arg("expert_limit"), py::arg("verify"))
      .def_property_readonly("info", [](const BoundEngine& self) { return self.engine->info(); })
      .def("encode", &encode, py::arg("image"), py::kw_only(), py::arg("modality"))
      .def("predict", &predict, py::arg("embedding"), py::kw_only(), py::arg("count"), py::arg("boxes").noconvert(),
           py::arg("point_coords").noconvert(), py::arg("point_labels").noconvert(), py::arg("mask_input").noconvert(),
           py::arg("scribble").noconvert(), py::arg("multimask_output"), py::arg("allow_untrained"),
           py::arg("cancelled"))
      .def("check_prompt", &check_prompt, py::arg("kinds"), py::kw_only(), py::arg("allow_untrained"))
      .def("segment", &segment, py::arg("image"), py::arg("boxes").noconvert(), py::kw_only(), py::arg("modality"),
           py::arg("cancelled"))
      .def("cache_stats", [](const BoundEngine& self) { return self.engine->cache_stats(); })
      .def(
          "clear_cache", [](const BoundEngine& self) { self.engine->clear_cache(); },
          py::call_guard<py::gil_scoped_release>())
      .def("take_messages", [](const BoundEngine& self) { return self.messages->take(); });
  register_volume(engine);
}

}  // namespace medsam::python
