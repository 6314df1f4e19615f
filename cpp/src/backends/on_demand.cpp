// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "backends/on_demand.hpp"

#include <mutex>
#include <utility>

#include "backends/plugin.hpp"
#include "backends/processor.hpp"
#include "backends/registry.hpp"
#include "medsam/error.hpp"

namespace medsam::backends {

namespace {

constexpr PluginFile kOpenVinoPlugin = {
    "medsam_engine_openvino",
    "OpenVINO plugin",
    "OpenVINO: needed for this device or for a graph of this bundle, but the OpenVINO plugin",
    "install a build of medsam-engine that has it, and OpenVINO " MEDSAM_ENGINE_OPENVINO_VERSION
    ", or use a bundle without graphs, as `medsam-engine fetch` writes it",
    "install OpenVINO: pip install openvino==" MEDSAM_ENGINE_OPENVINO_VERSION,
    true};

class OnDemandCpu final : public Backend {
 public:
  explicit OnDemandCpu(std::function<std::unique_ptr<Backend>()> open) : open_(std::move(open)) {}

  std::string library() const override { return "OpenVINO " MEDSAM_ENGINE_OPENVINO_VERSION; }
  std::string device_name() const override { return processor().name; }
  std::string device_id() const override { return "CPU"; }

  // What the capabilities of OpenVINO's CPU device say: utils/precision_support.cpp of its sources.
  bool native(const std::string& format) const override {
    const Processor& p = processor();
    if (format == "bf16" || format == "bf16_mixed") return p.avx512_core || p.avx2_vnni_2;
    if (format == "f16") return p.avx512_fp16 || p.avx2_vnni_2;
    return format == "f32";
  }

  std::shared_ptr<const CompiledModel> compile(const ModelSource& model, const CompileOptions& options,
                                               const CacheFolder& cache) const override {
    const Backend& real = opened();
    // Certificates hold for what a device computes natively, and the plan was made by native().
    if (real.native(options.precision) != native(options.precision)) {
      throw BackendError("OpenVINO: whether this processor computes in " + options.precision +
                         " is answered otherwise by OpenVINO than by the processor; use precision f32");
    }
    return real.compile(model, options, cache);
  }

 private:
  const Backend& opened() const {
    const std::lock_guard lock(mutex_);
    if (real_ == nullptr) {
      auto real = open_();
      if (real->library() != library()) {
        throw BackendError("OpenVINO: got " + real->library() + ", expected " + library() +
                           ", for which this library was built; install that one");
      }
      real_ = std::move(real);
    }
    return *real_;
  }

  const std::function<std::unique_ptr<Backend>()> open_;
  mutable std::mutex mutex_;
  mutable std::unique_ptr<Backend> real_;
};

}  // namespace

std::unique_ptr<Backend> on_demand_cpu(std::function<std::unique_ptr<Backend>()> open) {
  return std::make_unique<OnDemandCpu>(std::move(open));
}

std::unique_ptr<Backend> create_openvino(const std::string& device) {
  const std::string kind = device.substr(0, device.find('.'));
  if (device != "CPU" && kind != "GPU" && kind != "NPU" && device != "AUTO") return nullptr;
  const auto open = [device] { return open_plugin(kOpenVinoPlugin).create(device); };
  // Where the processor does not say what it is, OpenVINO does.
  return device == "CPU" && !processor().name.empty() ? on_demand_cpu(open) : open();
}

}  // namespace medsam::backends
