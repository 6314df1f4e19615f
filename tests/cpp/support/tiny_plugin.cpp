// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// In the place of OpenVINO's plugin where there is none (Windows): the fake backend, which computes what the graphs of
// tests/data/tiny_bundle say, so that the Python tests over that bundle run. It is no part of any installation; they
// find it by MEDSAM_ENGINE_PLUGIN_DIR. A graph of another model is refused, never answered.
#include "backends/backend.hpp"
#include "backends/plugin.hpp"
#include "medsam/error.hpp"
#include "medsam/export.hpp"
#include "medsam/version.hpp"
#include "support/tiny_bundle.hpp"

namespace medsam::backends {

namespace {

/// As OpenVINO's CPU device, in f32 alone.
class TinyBackend final : public Backend {
 public:
  std::string library() const override { return "OpenVINO " MEDSAM_ENGINE_OPENVINO_VERSION; }
  std::string device_name() const override { return fake_->device_name(); }
  std::string device_id() const override { return "CPU"; }
  bool native(const std::string& format) const override { return format == "f32"; }
  std::shared_ptr<const CompiledModel> compile(const ModelSource& model, const CompileOptions& options,
                                               const CacheFolder& cache) const override {
    // None of its graphs has as much: 5 kB.
    if (model.file().bytes > 8192)
      throw ModelError("model: got a graph of a real model, expected one of tests/data/tiny_bundle");
    return fake_->compile(model, options, cache);
  }

 private:
  std::unique_ptr<Backend> fake_ = create_backend("CPU");  // fake_backend.cpp's
};

std::unique_ptr<Backend> create(const std::string& device) {
  if (device == "CPU" || device == "AUTO") return std::make_unique<TinyBackend>();
  throw Unsupported("device: got \"" + device + "\", but OpenVINO finds only CPU here; use device \"CPU\"");
}

}  // namespace
}  // namespace medsam::backends

extern "C" MEDSAM_ENGINE_EXPORT const medsam::backends::Plugin* medsam_engine_plugin_2() {
  static const medsam::backends::Plugin kTable{MEDSAM_ENGINE_VERSION, medsam::backends::create};
  return &kTable;
}
