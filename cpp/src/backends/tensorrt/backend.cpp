// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The CUDA plugin: TensorRT for RTX or TensorRT behind backend.hpp. The only library of the project that is linked
// against CUDA; the core opens it when a CUDA device is asked for (plugin.hpp).
#include "backends/backend.hpp"

#include "backends/cuda_index.hpp"
#include "backends/plugin.hpp"
#include "backends/tensorrt/cuda_memory.hpp"
#include "backends/tensorrt/library.hpp"
#include "backends/tensorrt/plan.hpp"
#include "backends/tensorrt/request.hpp"
#include "medsam/error.hpp"
#include "medsam/export.hpp"
#include "medsam/version.hpp"

namespace medsam::backends::tensorrt {

namespace {

class TensorRtBackend final : public Backend {
 public:
  TensorRtBackend(const Library& library, Device device) : library_(library), device_(std::move(device)) {}

  std::string library() const override { return library_.name; }
  std::string device_name() const override { return device_.name; }
  std::string device_id() const override { return "cuda:" + std::to_string(device_.index); }

  bool native(const std::string& precision) const override {
    // Half-precision arithmetic came with compute capability 5.3; graphs in bf16 are not exported.
    return precision == "f32" || (precision == "f16" && device_.capability >= 53);
  }

  // Types are the graph's, so that f16 runs the bundle's f16 graphs.
  bool takes(const Variant& variant) const override {
    return variant.runner == Runner::graph && variant.typed == (variant.format == "f16");
  }

  std::shared_ptr<const CompiledModel> compile(const ModelSource& source, const CompileOptions& options,
                                               const CacheFolder& cache) const override {
    const ModelFile& model = source.file();
    if (options.precision != "f32" && options.precision != "f16") {
      throw Unsupported("precision: got \"" + options.precision + "\", expected f32 or f16 on a GPU; use f32");
    }
    device_.use();
    const std::string fingerprint = plan_fingerprint(model, options, {library_.name, device_.target});
    std::vector<char> plan = read_plan(cache, fingerprint);
    if (!plan.empty()) {
      try {
        return std::make_shared<Model>(library_, device_, model, plan, cache, fingerprint);
      } catch (const BackendError&) {  // what another driver wrote; building gives the same model
        plan.clear();
      }
    }
    plan = tensorrt::build_plan(library_, source, options, cache, device_.target);
    auto made = std::make_shared<Model>(library_, device_, model, plan, cache, fingerprint);
    write_plan(cache, fingerprint, plan.data(), plan.size());
    return made;
  }

 private:
  const Library& library_;
  const Device device_;
};

std::unique_ptr<Backend> create(const std::string& device) {
  const Library& opened = library();  // before the driver: it is what pip can install
  return std::make_unique<TensorRtBackend>(opened, find_device(cuda_index(device)));
}

}  // namespace

}  // namespace medsam::backends::tensorrt

extern "C" MEDSAM_ENGINE_EXPORT const medsam::backends::Plugin* medsam_engine_plugin_2() {
  static const medsam::backends::Plugin kTable{MEDSAM_ENGINE_VERSION, medsam::backends::tensorrt::create};
  return &kTable;
}
