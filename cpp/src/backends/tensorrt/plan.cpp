// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "backends/tensorrt/plan.hpp"

#include <algorithm>
#include <memory>

#include "backends/tensorrt/build_progress.hpp"
#include "backends/tensorrt/rtx.hpp"
#include "medsam/error.hpp"

namespace medsam::backends::tensorrt {

namespace {

constexpr const char* kTimings = "timings";

bool dynamic(const Shape& shape) { return std::find(shape.begin(), shape.end(), -1) != shape.end(); }

nvinfer1::Dims dims(const Shape& shape, Extreme which) {
  nvinfer1::Dims made{};
  made.nbDims = static_cast<std::int32_t>(shape.size());
  for (std::size_t d = 0; d < shape.size(); ++d) made.d[d] = extreme(shape, d, which);
  return made;
}

[[noreturn]] void fail(const ModelFile& model, const std::string& what) {
  const std::string words = logger().take_errors();
  throw BackendError("TensorRT: " + what + " " + model.path + (words.empty() ? "" : ": " + words));
}

template <class T>
std::unique_ptr<T> made(T* object, const ModelFile& model, const char* what) {
  if (object == nullptr) fail(model, what);
  return std::unique_ptr<T>(object);
}

std::string parser_errors(const nvonnxparser::IParser& parser) {
  std::string text;
  for (int i = 0; i < std::min(parser.getNbErrors(), 3); ++i) {
    const nvonnxparser::IParserError* error = parser.getError(i);
    if (error != nullptr) text += (text.empty() ? ": " : "; ") + std::string(error->desc());
  }
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

// The engine addresses tensors by their place in the manifest.
void check_tensor(const ModelFile& model, const char* side, std::size_t index, const TensorSpec& spec,
                  const nvinfer1::ITensor* tensor) {
  const auto type = spec.dtype == DType::f32 ? nvinfer1::DataType::kFLOAT : nvinfer1::DataType::kINT32;
  bool same = tensor != nullptr && spec.name == tensor->getName() && tensor->getType() == type;
  const nvinfer1::Dims shape = same ? tensor->getDimensions() : nvinfer1::Dims{};
  same = same && static_cast<std::size_t>(std::max(shape.nbDims, 0)) == spec.shape.size();
  for (std::size_t d = 0; same && d < spec.shape.size(); ++d) {
    same = spec.shape[d] < 0 || shape.d[d] < 0 || shape.d[d] == spec.shape[d];
  }
  if (same) return;
  throw ModelError(model.path + ": " + side + " " + std::to_string(index) + " is not \"" + spec.name +
                   "\" as the manifest says; export the bundle again");
}

void check_network(const ModelFile& model, const nvinfer1::INetworkDefinition& network) {
  if (network.getNbInputs() != static_cast<std::int32_t>(model.inputs.size()) ||
      network.getNbOutputs() != static_cast<std::int32_t>(model.outputs.size())) {
    throw ModelError(model.path + ": the number of inputs or outputs is not the manifest's; export it again");
  }
  for (std::size_t i = 0; i < model.inputs.size(); ++i) {
    check_tensor(model, "input", i, model.inputs[i], network.getInput(static_cast<std::int32_t>(i)));
  }
  for (std::size_t i = 0; i < model.outputs.size(); ++i) {
    check_tensor(model, "output", i, model.outputs[i], network.getOutput(static_cast<std::int32_t>(i)));
  }
}

void add_profile(nvinfer1::IBuilder& builder, nvinfer1::INetworkDefinition& network, nvinfer1::IBuilderConfig& config,
                 const ModelFile& model, const CompileOptions& options) {
  nvinfer1::IOptimizationProfile* profile = builder.createOptimizationProfile();  // the builder's own
  bool fits = profile != nullptr;
  bool any = false;
  for (std::size_t i = 0; fits && i < model.inputs.size(); ++i) {
    nvinfer1::ITensor* input = network.getInput(static_cast<std::int32_t>(i));
    const Shape& shape = asked_shape(model, options, i);
    if (!dynamic(shape)) {
      // A shape that the caller fixes is fixed in the network, so that TensorRT optimizes for it alone.
      input->setDimensions(dims(shape, Extreme::least));
      continue;
    }
    any = true;
    fits = profile->setDimensions(input->getName(), nvinfer1::OptProfileSelector::kMIN, dims(shape, Extreme::least)) &&
           profile->setDimensions(input->getName(), nvinfer1::OptProfileSelector::kOPT, dims(shape, Extreme::common)) &&
           profile->setDimensions(input->getName(), nvinfer1::OptProfileSelector::kMAX, dims(shape, Extreme::most));
  }
  if (!fits || (any && config.addOptimizationProfile(profile) < 0)) fail(model, "describing the shapes of");
}

// What TensorRT measured of its kernels in earlier builds; TensorRT for RTX measures nothing when it builds.
std::unique_ptr<nvinfer1::ITimingCache> timing_cache(const Library& library, nvinfer1::IBuilderConfig& config,
                                                     const CacheFolder& cache, const std::string& fingerprint) {
  if (library.rtx) return nullptr;
  const std::string known = read_kept(cache, fingerprint, kTimings);
  std::unique_ptr<nvinfer1::ITimingCache> timings(config.createTimingCache(known.data(), known.size()));
  if (timings) static_cast<void>(config.setTimingCache(*timings, false));
  return timings;
}

void keep_timings(const nvinfer1::ITimingCache* timings, const CacheFolder& cache, const std::string& fingerprint) {
  if (timings == nullptr) return;
  const std::unique_ptr<nvinfer1::IHostMemory> bytes(timings->serialize());
  if (bytes) write_kept(cache, fingerprint, kTimings, bytes->data(), bytes->size());
}

class Monitor final : public nvinfer1::IProgressMonitor {
 public:
  explicit Monitor(BuildProgress& progress) : progress_(progress) {}
  // NOLINTBEGIN(readability-identifier-naming): TensorRT's names
  void phaseStart(const char* phase, const char* parent, std::int32_t steps) noexcept override {
    tell([&] { progress_.start(phase, parent != nullptr ? parent : "", steps); });
  }
  bool stepComplete(const char* phase, std::int32_t step) noexcept override {
    tell([&] { progress_.step(phase, step); });
    return true;  // go on
  }
  void phaseFinish(const char* phase) noexcept override {
    tell([&] { progress_.finish(phase); });
  }
  // NOLINTEND(readability-identifier-naming)

 private:
  template <class F>
  static void tell(F&& what) noexcept {
    try {
      what();
    } catch (...) {  // no memory for a line: the build goes on without it
      return;
    }
  }
  BuildProgress& progress_;
};

}  // namespace

std::vector<char> build_plan(const Library& library, const ModelSource& source, const CompileOptions& options,
                             const CacheFolder& cache, const std::string& target) {
  const ModelFile& model = source.file();
  if (options.precision != model.precision) {
    throw Unsupported("precision: got \"" + options.precision + "\", but this bundle has the graph " + model.path +
                      " in " + model.precision + " only; use that, or add them with `medsam-engine half`");
  }
  const auto verified = source.read();  // outlives the network, whose weights may lie in it
  static_cast<void>(logger().take_errors());
  const auto builder = made(library.create_builder(logger()), model, "starting to build");
  const auto network = made(builder->createNetworkV2(strongly_typed()), model, "starting to build");
  const auto parser = made(library.create_parser(*network, logger()), model, "starting to read");
  // By a path: weights may lie in a file beside the graph.
  if (!parser->parseFromFile(verified->path().c_str(), static_cast<int>(nvinfer1::ILogger::Severity::kERROR))) {
    static_cast<void>(logger().take_errors());  // the same words
    fail(model, "reading" + parser_errors(*parser) + " in");
  }
  check_network(model, *network);
  const auto config = made(builder->createBuilderConfig(), model, "starting to build");
  // f32 means f32: TF32's products have f16's 10 bits, and TensorRT turns them on by itself.
  config->clearFlag(nvinfer1::BuilderFlag::kTF32);
  if (library.rtx && !rtx::build_for(*config, target)) {
    throw Unsupported("device: got " + target + ", for which " + library.name +
                      " does not build (docs/gpu.md names those it does); use TensorRT or device \"CPU\"");
  }
  add_profile(*builder, *network, *config, model, options);
  // Of all models: what is measured is a kernel on a device.
  const std::string timed = "medsam-engine timings 1\nlibrary " + library.name + "\ntarget " + target + "\n";
  const auto timings = timing_cache(library, *config, cache, timed);
  BuildProgress progress(building(model, target), options.report);
  Monitor monitor(progress);
  if (options.report) config->setProgressMonitor(&monitor);
  const auto plan = made(builder->buildSerializedNetwork(*network, *config), model, "building a plan of");
  keep_timings(timings.get(), cache, timed);
  const auto* bytes = static_cast<const char*>(plan->data());
  return {bytes, bytes + plan->size()};
}

}  // namespace medsam::backends::tensorrt
