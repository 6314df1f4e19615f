// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The values an engine gives: its description, image embeddings, predictions. Views into memory of the library are
// read-only and keep their owner alive; full-size masks are new arrays that belong to the caller.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "bind.hpp"
#include "cancellation.hpp"
#include "medsam/embedding.hpp"
#include "medsam/engine.hpp"
#include "numpy_view.hpp"

namespace py = pybind11;

namespace medsam::python {
namespace {

/// Fills `pixels`, (H, W) bytes, with 0 and 1. NumPy's bool is one byte that must hold nothing else.
void fill_mask(const Prediction& prediction, std::int64_t n, std::int64_t m, std::uint8_t* pixels) {
  LabelView view;
  view.data = pixels;
  view.type = LabelType::u8;
  view.height = prediction.height();
  view.width = prediction.width();
  view.row_stride = prediction.width();
  std::memset(pixels, 0, static_cast<std::size_t>(view.height * view.width));
  prediction.write_mask(n, m, view, 1);
}

py::array one_mask(const Prediction& prediction, std::int64_t n, std::int64_t m) {
  py::array mask = new_array(py::dtype::of<bool>(), {prediction.height(), prediction.width()}, "mask");
  auto* pixels = static_cast<std::uint8_t*>(mask.mutable_data());
  const py::gil_scoped_release release;
  fill_mask(prediction, n, m, pixels);
  return mask;
}

py::array all_masks(const Prediction& prediction) {
  const std::int64_t count = prediction.size();
  const std::int64_t per_prompt = prediction.masks_per_prompt();
  const std::int64_t area = prediction.height() * prediction.width();
  py::array masks =
      new_array(py::dtype::of<bool>(), {count, per_prompt, prediction.height(), prediction.width()}, "masks");
  auto* pixels = static_cast<std::uint8_t*>(masks.mutable_data());
  for (std::int64_t n = 0; n < count; ++n) {
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    const py::gil_scoped_release release;
    for (std::int64_t m = 0; m < per_prompt; ++m) fill_mask(prediction, n, m, pixels + (n * per_prompt + m) * area);
  }
  return masks;
}

const char* origin_name(CertificateOrigin origin) {
  return origin == CertificateOrigin::project ? "project" : origin == CertificateOrigin::machine ? "machine" : "bundle";
}

// Each combination as the names of its kinds.
py::tuple trained_prompts(const EngineInfo& info) {
  py::tuple combinations(info.trained_prompts.size());
  for (std::size_t i = 0; i < info.trained_prompts.size(); ++i) {
    std::vector<const char*> names;
    for (const auto& [kind, name] : kPromptKindNames) {
      if ((info.trained_prompts[i] & kind) == kind) names.push_back(name);
    }
    combinations[i] = py::tuple(py::cast(names));
  }
  return combinations;
}

void register_info(py::module_& m) {
  py::class_<CertificateInfo>(m, "CertificateInfo", "A certificate in a bundle.")
      .def_readonly("precision", &CertificateInfo::precision)
      .def_readonly("encoder", &CertificateInfo::encoder)
      .def_readonly("decoder", &CertificateInfo::decoder)
      .def_property_readonly("origin", [](const CertificateInfo& c) { return origin_name(c.origin); })
      .def_readonly("obstacle", &CertificateInfo::obstacle)
      .def_readonly("images", &CertificateInfo::images)
      .def_readonly("agreement_mean", &CertificateInfo::agreement_mean)
      .def_readonly("agreement_worst", &CertificateInfo::agreement_worst)
      .def("__repr__", [](const CertificateInfo& c) {
        return "<CertificateInfo " + c.encoder + "/" + c.decoder + ", " + origin_name(c.origin) + ">";
      });
  py::class_<EngineInfo>(m, "EngineInfo", "What an engine runs.")
      .def_readonly("family", &EngineInfo::family)
      .def_readonly("profile", &EngineInfo::profile)
      .def_readonly("device", &EngineInfo::device)
      .def_readonly("precision", &EngineInfo::precision)
      .def_readonly("encoder_precision", &EngineInfo::encoder_precision)
      .def_readonly("decoder_precision", &EngineInfo::decoder_precision)
      .def_readonly("encoder_backend", &EngineInfo::encoder_backend)
      .def_readonly("decoder_backend", &EngineInfo::decoder_backend)
      .def_readonly("backend", &EngineInfo::backend)
      .def_readonly("model_hash", &EngineInfo::model_hash)
      .def_readonly("fingerprint", &EngineInfo::fingerprint)
      .def_readonly("threads", &EngineInfo::threads)
      .def_readonly("tuned", &EngineInfo::tuned)
      .def_property_readonly("certified", [](const EngineInfo& i) { return py::tuple(py::cast(i.certified)); })
      .def_property_readonly("certificates", [](const EngineInfo& i) { return py::tuple(py::cast(i.certificates)); })
      .def_readonly("certificates_file", &EngineInfo::certificates_file)
      .def_readonly("machine", &EngineInfo::machine)
      .def_readonly("tuning_file", &EngineInfo::tuning_file)
      .def_readonly("input_size", &EngineInfo::input_size)
      .def_property_readonly("embedding_shape",
                             [](const EngineInfo& i) { return py::tuple(py::cast(i.embedding_shape)); })
      .def_property_readonly("mask_shape", [](const EngineInfo& i) { return py::tuple(py::cast(i.mask_shape)); })
      .def_readonly("accepts_points", &EngineInfo::accepts_points)
      .def_readonly("accepts_mask", &EngineInfo::accepts_mask)
      .def_readonly("accepts_scribble", &EngineInfo::accepts_scribble)
      .def_property_readonly("trained_prompts", &trained_prompts)
      .def_readonly("trained_prompts_stated", &EngineInfo::trained_prompts_stated)
      .def_property_readonly("modalities", [](const EngineInfo& i) { return py::tuple(py::cast(i.modalities)); })
      .def_readonly("needs_modality", &EngineInfo::needs_modality)
      .def_property_readonly("experts", [](const EngineInfo& i) { return py::tuple(py::cast(i.experts)); })
      .def("__repr__", [](const EngineInfo& i) {
        return "<EngineInfo " + i.family + " " + i.precision + " on " + i.device + ", " + i.backend + ", profile " +
               i.profile + ">";
      });
}

py::bytes embedding_to_bytes(const ImageEmbedding& embedding) {
  std::string bytes;
  {
    const py::gil_scoped_release release;
    bytes = embedding.serialize();
  }
  return bytes;
}

ImageEmbedding embedding_from_bytes(const py::bytes& bytes) {
  const auto view = static_cast<std::string_view>(bytes);
  const py::gil_scoped_release release;
  return ImageEmbedding::deserialize(view.data(), view.size());
}

void register_embedding(py::module_& m) {
  const auto itself = [](const py::object& self, const py::args&) { return self; };  // immutable: a copy is the same
  py::class_<ImageEmbedding>(m, "ImageEmbedding", "One encoded image; immutable, and may outlive its Engine.")
      .def_property_readonly("height", &ImageEmbedding::height)
      .def_property_readonly("width", &ImageEmbedding::width)
      .def_property_readonly("original_size",
                             [](const ImageEmbedding& e) { return py::make_tuple(e.height(), e.width()); })
      .def_property_readonly("shape", [](const ImageEmbedding& e) { return py::tuple(py::cast(e.shape())); })
      .def_property_readonly("nbytes", &ImageEmbedding::bytes)
      .def_property_readonly("fingerprint", &ImageEmbedding::fingerprint)
      .def_property_readonly("array",
                             [](const py::object& self) {
                               const auto& e = self.cast<const ImageEmbedding&>();
                               const std::vector<std::int64_t> shape = e.shape();
                               return readonly_view(e.data(), {shape.begin(), shape.end()}, self);
                             })
      .def("to_bytes", &embedding_to_bytes, "The embedding as bytes, portable and guarded by a digest.")
      .def_static("from_bytes", &embedding_from_bytes, py::arg("data"), "The opposite of to_bytes. ModelError.")
      .def(py::pickle(&embedding_to_bytes, &embedding_from_bytes))
      .def("__copy__", itself)
      .def("__deepcopy__", itself)
      .def("__repr__", [](const ImageEmbedding& e) {
        return "<ImageEmbedding of a " + std::to_string(e.width()) + "x" + std::to_string(e.height()) + " image, " +
               std::to_string(e.bytes()) + " bytes>";
      });
}

void register_cache_stats(py::module_& m) {
  py::class_<CacheStats>(m, "CacheStats", "The embedding cache's counters since the engine was made.")
      .def_readonly("hits", &CacheStats::hits)
      .def_readonly("misses", &CacheStats::misses)
      .def_readonly("store_hits", &CacheStats::store_hits)
      .def_readonly("evictions", &CacheStats::evictions)
      .def_readonly("entries", &CacheStats::entries)
      .def_readonly("bytes", &CacheStats::bytes)
      .def_readonly("budget", &CacheStats::budget)
      .def("__repr__", [](const CacheStats& s) {
        return "<CacheStats " + std::to_string(s.hits) + " hits, " + std::to_string(s.misses) + " misses, " +
               std::to_string(s.entries) + " embeddings, " + std::to_string(s.bytes) + " of " +
               std::to_string(s.budget) + " bytes>";
      });
}

void register_prediction(py::module_& m) {
  py::class_<Prediction>(m, "Prediction")
      .def_property_readonly("size", &Prediction::size)
      .def_property_readonly("masks_per_prompt", &Prediction::masks_per_prompt)
      .def_property_readonly("height", &Prediction::height)
      .def_property_readonly("width", &Prediction::width)
      .def_property_readonly("low_res_logits",
                             [](const py::object& self) {
                               const auto& p = self.cast<const Prediction&>();
                               return readonly_view(
                                   p.low_res_logits(),
                                   {p.size(), p.masks_per_prompt(), p.low_res_height(), p.low_res_width()}, self);
                             })
      .def_property_readonly("iou_predictions",
                             [](const py::object& self) {
                               const auto& p = self.cast<const Prediction&>();
                               return readonly_view(p.iou_predictions(), {p.size(), p.masks_per_prompt()}, self);
                             })
      .def("mask", &one_mask, py::arg("n"), py::arg("m"))
      .def("masks", &all_masks);
}

}  // namespace

void register_types(py::module_& m) {
  register_info(m);
  register_embedding(m);
  register_cache_stats(m);
  register_prediction(m);
}

}  // namespace medsam::python
