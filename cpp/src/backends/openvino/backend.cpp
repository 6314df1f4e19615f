// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The OpenVINO plugin: OpenVINO behind backend.hpp. The only library of the project that is linked against it; the core
// opens it when a graph is compiled on the CPU, or when another of its devices is asked for (on_demand.hpp). Its
// headers are included here and in mixed.* only; its exceptions do not leave this file.
#include <openvino/frontend/manager.hpp>
#include <openvino/openvino.hpp>

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>

#include "backends/cached_blob.hpp"
#include "backends/openvino/mixed.hpp"
#include "backends/plugin.hpp"
#include "base/sha256.hpp"
#include "base/text.hpp"
#include "medsam/error.hpp"
#include "medsam/export.hpp"
#include "medsam/version.hpp"
#include "platform/numeric_locale.hpp"
#include "platform/process.hpp"

namespace medsam::backends {

namespace {

template <class F>
auto translated(const std::string& what, F&& f) -> decltype(f()) {
  try {
    return f();
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& e) {
    std::string text = e.what();
    for (char& c : text) {
      if (c == '\n') c = ' ';
    }
    throw BackendError("OpenVINO: " + what + ": " + text);
  }
}

// What an imported model may read its weights from: before the model and its requests it must not go.
using BlobPtr = std::shared_ptr<const CachedBlob>;

ov::Shape to_ov(const Shape& shape) { return {shape.begin(), shape.end()}; }

class OpenVinoRequest final : public Request {
 public:
  OpenVinoRequest(ov::InferRequest request, std::size_t outputs, BlobPtr weights)
      : weights_(std::move(weights)), request_(std::move(request)), outputs_(outputs) {}

  void* input(std::size_t index, const Shape& shape) override {
    return translated("preparing an input", [&] {
      // An input bound to an embedding must not be written: give the request a buffer of its own again.
      ov::Tensor& own = own_inputs_[index];
      const ov::Shape wanted = to_ov(shape);
      if (!own) own = ov::Tensor(request_.get_compiled_model().input(index).get_element_type(), wanted);
      if (own.get_shape() != wanted) own.set_shape(wanted);
      request_.set_input_tensor(index, own);
      return own.data();
    });
  }

  void bind(std::size_t index, const TensorPtr& tensor) override {
    translated("binding an embedding", [&] {
      // OpenVINO only reads an input tensor; its constructor over existing memory wants a mutable pointer.
      auto* data = const_cast<float*>(tensor->host());
      request_.set_input_tensor(index, ov::Tensor(ov::element::f32, to_ov(tensor->shape()), data));
    });
  }

  std::vector<TensorPtr> run() override {
    return translated("inference", [&] {
      request_.infer();
      std::vector<TensorPtr> outputs;
      for (std::size_t i = 0; i < outputs_; ++i) {
        // The output tensor is one buffer that the next run overwrites: copy.
        const ov::Tensor tensor = request_.get_output_tensor(i);
        const ov::Shape& shape = tensor.get_shape();
        auto copy = std::make_shared<HostTensor>(Shape(shape.begin(), shape.end()));
        if (tensor.get_byte_size() != copy->bytes()) throw BackendError("OpenVINO: an output is not f32");
        std::memcpy(copy->mutable_host(), tensor.data(), tensor.get_byte_size());
        outputs.push_back(std::move(copy));
      }
      return outputs;
    });
  }

 private:
  BlobPtr weights_;
  ov::InferRequest request_;
  std::size_t outputs_;
  std::map<std::size_t, ov::Tensor> own_inputs_;
};

class OpenVinoModel final : public CompiledModel {
 public:
  explicit OpenVinoModel(ov::CompiledModel model, BlobPtr weights = nullptr)
      : weights_(std::move(weights)), model_(std::move(model)) {}
  std::unique_ptr<Request> create_request() const override {
    return translated("creating a request", [&] {
      auto& model = const_cast<ov::CompiledModel&>(model_);  // create_infer_request is thread-safe but not const
      return std::make_unique<OpenVinoRequest>(model.create_infer_request(), model_.outputs().size(), weights_);
    });
  }

 private:
  BlobPtr weights_;
  ov::CompiledModel model_;
};

// One core for the process: loading the plugin takes 50 ms. Never destroyed, because OpenVINO's own globals may be gone
// by the time static destructors run. Unsupported in a child that was forked after it was made: oneTBB's threads do not
// exist there, and waiting for them may never end (seen where the parent's last engine had been destroyed).
ov::Core& core() {
  static const platform::ProcessId kOwner = platform::process_id();
  if (platform::process_id() != kOwner) {
    throw Unsupported(
        "engine: OpenVINO was used before this process was forked, and its threads do not exist here; start processes "
        "with the spawn method, or create no Engine before the fork");
  }
  static auto* instance = new ov::Core();
  return *instance;
}

ov::element::Type inference_type(const std::string& precision) {
  if (precision == "f32" || precision == "bf16_mixed") return ov::element::f32;
  if (precision == "bf16") return ov::element::bf16;
  if (precision == "f16") return ov::element::f16;
  throw Unsupported("precision: got \"" + precision + "\", expected f32, bf16, bf16_mixed or f16; use f32");
}

class OpenVinoBackend final : public Backend {
 public:
  explicit OpenVinoBackend(std::string device) : device_(std::move(device)) {
    device_name_ = core().get_property(device_, ov::device::full_name);
    // "2026.4.1-22000-...": the build number tells two builds of one release apart.
    build_ = ov::get_openvino_version().buildNumber;
  }

  std::string library() const override { return "OpenVINO " + build_.substr(0, build_.find('-')); }
  std::string device_name() const override { return device_name_; }
  std::string device_id() const override { return device_; }

  bool native(const std::string& precision) const override {
    if (precision == "f32") return !device_.starts_with("NPU");       // an NPU computes in f16 and integers
    if (precision == "bf16_mixed" && device_ != "CPU") return false;  // other plugins may retype the nodes
    const std::vector<std::string> capabilities = core().get_property(device_, ov::device::capabilities);
    const char* name = precision == "bf16" || precision == "bf16_mixed" ? ov::device::capability::BF16
                       : precision == "f16"                             ? ov::device::capability::FP16
                                                                        : "";
    return std::find(capabilities.begin(), capabilities.end(), name) != capabilities.end();
  }

  std::shared_ptr<const CompiledModel> compile(const ModelSource& source, const CompileOptions& options,
                                               const CacheFolder& cache) const override {
    const ModelFile& model = source.file();
    return translated("compiling " + model.path, [&] {
      // The blob that export_model writes and import_model reads has numbers as text.
      const platform::NumericLocale numbers;
      const ov::AnyMap properties = this->properties(options);
      if (options.precision == "f32" && !native("f32")) {
        throw Unsupported("precision: got \"f32\", but " + device_name_ +
                          " does not compute in it; use \"f16\" with its certificate, or device \"CPU\"");
      }
      const std::string entry = cache_entry(model, options);
      if (auto cached = import_cached(cache, entry, properties)) return cached;
      // Until it is compiled, a graph's constants lie where its bytes do.
      const auto verified = source.read();
      ov::CompiledModel compiled = core().compile_model(read(*verified, model, options), device_, properties);
      CachedBlob::write(cache, entry, [&](std::ostream& file) { compiled.export_model(file); });
      return std::shared_ptr<const CompiledModel>(std::make_shared<OpenVinoModel>(std::move(compiled)));
    });
  }

 private:
  ov::AnyMap properties(const CompileOptions& options) const {
    // Precision is always said: OpenVINO would otherwise pick bf16 or f16 by the hardware it finds.
    ov::AnyMap properties{ov::hint::inference_precision(inference_type(options.precision)),
                          ov::hint::execution_mode(ov::hint::ExecutionMode::ACCURACY),
                          ov::hint::performance_mode(ov::hint::PerformanceMode::LATENCY), ov::num_streams(1)};
    if (device_ != "CPU") return properties;
    // Pinned, two models that run at once (a volume's next slice is encoded while this one is decoded) are given the
    // same core: 93 s instead of 50 s for a 13-object brain on two cores.
    properties.insert(ov::hint::enable_cpu_pinning(false));
    if (options.threads > 0) properties.insert(ov::inference_num_threads(options.threads));
    return properties;
  }

  static std::shared_ptr<ov::Model> read(const VerifiedModel& verified, const ModelFile& file,
                                         const CompileOptions& options) {
    // The ONNX frontend by name: read_model would offer a damaged file to every frontend, and TensorFlow's prints.
    ov::frontend::FrontEndManager frontends;
    const auto onnx = frontends.load_by_framework("onnx");
    if (!onnx) throw BackendError("OpenVINO: its ONNX frontend is missing; reinstall the openvino package");
    auto model = onnx->convert(onnx->load(verified.path()));
    std::map<std::string, ov::PartialShape> shapes;
    for (std::size_t i = 0; i < options.input_shapes.size(); ++i) {
      const Shape& shape = options.input_shapes[i];
      if (!shape.empty()) shapes[file.inputs.at(i).name] = ov::PartialShape(to_ov(shape));
    }
    if (!shapes.empty()) model->reshape(shapes);
    check_ports(file, model->inputs(), file.inputs, "input");
    check_ports(file, model->outputs(), file.outputs, "output");
    if (options.precision == "bf16_mixed") retype_to_bf16_mixed(*model);
    return model;
  }

  // The engine addresses ports by their index in the manifest.
  template <class Ports>
  static void check_ports(const ModelFile& file, const Ports& ports, const std::vector<TensorSpec>& specs,
                          const char* side) {
    bool same = ports.size() == specs.size();
    for (std::size_t i = 0; same && i < specs.size(); ++i) {
      same = ports[i].get_names().count(specs[i].name) != 0 &&
             ports[i].get_element_type() == (specs[i].dtype == DType::f32 ? ov::element::f32 : ov::element::i32) &&
             ports[i].get_partial_shape().rank().is_static() &&
             ports[i].get_partial_shape().size() == specs[i].shape.size();
      for (std::size_t d = 0; same && d < specs[i].shape.size(); ++d) {
        const auto& dimension = ports[i].get_partial_shape()[d];
        same = specs[i].shape[d] < 0 || dimension.compatible(specs[i].shape[d]);
      }
      if (!same)
        throw ModelError(file.path + ": " + side + " " + std::to_string(i) + " is not \"" + specs[i].name +
                         "\" as the manifest says; export the bundle again");
    }
    if (!same) throw ModelError(file.path + ": the number of " + side + "s is not the manifest's; export it again");
  }

  // Everything that a compiled model depends on is in its key. OpenVINO's own model cache leaves out the precision
  // (measured: a bf16 compile was served the f32 blob), so it is not used.
  std::string cache_entry(const ModelFile& model, const CompileOptions& options) const {
    std::string key = "blob 3\n" + build_ + "\n" + device_ + "\n" + device_name_ + "\n" + options.precision + "\n" +
                      std::to_string(options.threads) + "\n" + model.content_hash() + "\n";
    for (const Shape& shape : options.input_shapes) {
      for (const std::int64_t d : shape) key += std::to_string(d) + ",";
      key += ";";
    }
    return "compiled/" + sha256_hex(key) + ".blob";
  }

  std::shared_ptr<const CompiledModel> import_cached(const CacheFolder& cache, const std::string& entry,
                                                     const ov::AnyMap& properties) const {
    const BlobPtr kept = CachedBlob::read(cache, entry);
    if (!kept) return nullptr;
    try {
      // OpenVINO only reads it; a tensor over existing memory wants a mutable pointer.
      const ov::Tensor blob(ov::element::u8, {kept->bytes().size()}, const_cast<char*>(kept->bytes().data()));
      auto model = std::make_shared<OpenVinoModel>(core().import_model(blob, device_, properties), kept);
      // The digest and the import have read all of it, and what the model computes with are mostly copies in a layout
      // of its own: 40 to 60 MB less of resident memory.
      kept->release_pages();
      return model;
    } catch (const std::exception&) {
      return nullptr;  // of another OpenVINO; compiling gives the same model
    }
  }

  std::string device_, device_name_, build_;
};

// "GPU" is there when "GPU" or "GPU.0" is.
bool available(const std::vector<std::string>& devices, const std::string& wanted) {
  return std::any_of(devices.begin(), devices.end(),
                     [&](const std::string& device) { return device == wanted || device.starts_with(wanted + "."); });
}

std::unique_ptr<Backend> create(const std::string& device) {
  return translated("loading OpenVINO's plugin for " + device, [&]() -> std::unique_ptr<Backend> {
    if (device == "CPU") return std::make_unique<OpenVinoBackend>(device);
    const std::vector<std::string> devices = core().get_available_devices();
    // OpenVINO's own AUTO starts on one device and moves to another while it works: here one engine is on one device.
    const std::string chosen = device != "AUTO" ? device : available(devices, "GPU") ? "GPU" : "CPU";
    if (available(devices, chosen)) return std::make_unique<OpenVinoBackend>(chosen);
    throw Unsupported("device: got \"" + device + "\", but OpenVINO finds only " + joined(devices) +
                      " here; install the device's driver, or use device \"CPU\"");
  });
}

}  // namespace
}  // namespace medsam::backends

extern "C" MEDSAM_ENGINE_EXPORT const medsam::backends::Plugin* medsam_engine_plugin_2() {
  static const medsam::backends::Plugin kTable{MEDSAM_ENGINE_VERSION, medsam::backends::create};
  return &kTable;
}
