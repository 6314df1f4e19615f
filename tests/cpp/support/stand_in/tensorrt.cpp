// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A stand-in for TensorRT: its plans name a model, which OpenVINO computes on the CPU when the stream gets there. The
// plugin's own code (requests, memory, recorded work, the plan cache) runs as on a GPU. Objects answer through tables
// of the slots that NvInferImpl.h fixes; a call of any other slot ends the test.
#include <cstring>
#include <map>
#include <mutex>

#include "backends/registry.hpp"
#include "backends/tensorrt/build_progress.hpp"
#include "backends/tensorrt/library.hpp"
#include "backends/tensorrt/plan.hpp"
#include "medsam/error.hpp"
#include "support/stand_in/cuda_runtime.hpp"
#include "support/stand_in/runtime_cache.hpp"
#include "support/stand_in/slots.hpp"

namespace medsam::backends::tensorrt {

namespace {

using testing::slot;
using testing::Table;

struct Built {
  ModelFile model;
  CompileOptions options;
};

std::mutex g_mutex;
std::map<std::string, Built>& built() {
  static auto* map = new std::map<std::string, Built>();
  return *map;
}

CompileOptions in_f32(CompileOptions options) {
  options.precision = "f32";
  return options;
}

struct Engine;

struct Context final : nvinfer1::IExecutionContext {
  struct Impl {
    void* const* table;
    Context* self;
  } impl;
  Context(const Engine& engine, testing::RuntimeCache* cache);
  const Engine& engine;
  testing::RuntimeCache* cache;  // nullptr when made without
  std::map<std::string, nvinfer1::Dims> shapes;
  std::map<std::string, void*> addresses;
  std::shared_ptr<Request> request;

  static bool set_shape(Impl* i, const char* name, const nvinfer1::Dims& shape);
  static nvinfer1::Dims shape(Impl* i, const char* name);
  static bool set_address(Impl* i, const char* name, void* data) {
    i->self->addresses[name] = data;
    return true;
  }
  static bool enqueue(Impl* i, cudaStream_t stream);
};

struct Engine final : nvinfer1::ICudaEngine {
  struct Impl {
    void* const* table;
    Engine* self;
  } impl;
  explicit Engine(Built from)
      : from_(std::move(from)),
        compiled_(create_openvino("CPU")->compile(from_.model, in_f32(from_.options), CacheFolder("none", nullptr))) {
    static const Table kTable{{5, slot(&create_context)},
                              {15, slot(&tensor_shape)},
                              {25, slot(&profile_shape)},
                              {47, slot(&create_context_with)},
                              {48, slot(&create_config)}};
    impl = {kTable.slots, this};
    mImpl = reinterpret_cast<nvinfer1::apiv::VCudaEngine*>(&impl);
  }
  Built from_;
  std::shared_ptr<const CompiledModel> compiled_;

  [[nodiscard]] nvinfer1::Dims input_shape(const char* name, int which) const {
    nvinfer1::Dims dims{};
    dims.nbDims = -1;
    for (std::size_t i = 0; i < from_.model.inputs.size(); ++i) {
      if (from_.model.inputs[i].name != name) continue;
      const Shape& shape = asked_shape(from_.model, from_.options, i);
      dims.nbDims = static_cast<int>(shape.size());
      for (std::size_t d = 0; d < shape.size(); ++d) {
        dims.d[d] = which < 0 ? shape[d] : extreme(shape, d, static_cast<Extreme>(which));
      }
    }
    return dims;
  }
  static nvinfer1::Dims tensor_shape(Impl* i, const char* name) { return i->self->input_shape(name, -1); }
  static nvinfer1::Dims profile_shape(Impl* i, const char* name, int, nvinfer1::OptProfileSelector which) {
    return i->self->input_shape(name, static_cast<int>(which));
  }
  static nvinfer1::IExecutionContext* create_context(Impl* i, nvinfer1::ExecutionContextAllocationStrategy) {
    return new Context(*i->self, nullptr);
  }
  static nvinfer1::IExecutionContext* create_context_with(Impl* i, testing::RuntimeConfig* config) {
    return new Context(*i->self, config->cache);
  }
  static testing::RuntimeConfig* create_config(Impl*) { return new testing::RuntimeConfig(); }
};

Context::Context(const Engine& of, testing::RuntimeCache* kernels)
    : engine(of), cache(kernels), request(of.compiled_->create_request()) {
  if (cache != nullptr) cache->need(of.from_.model.role);
  static const Table kTable{{20, slot(&set_shape)}, {21, slot(&shape)}, {23, slot(&set_address)}, {36, slot(&enqueue)}};
  impl = {kTable.slots, this};
  mImpl = reinterpret_cast<nvinfer1::apiv::VExecutionContext*>(&impl);
}

bool Context::set_shape(Impl* i, const char* name, const nvinfer1::Dims& shape) {
  const nvinfer1::Dims least = i->self->engine.input_shape(name, 0), most = i->self->engine.input_shape(name, 2);
  bool fits = shape.nbDims == most.nbDims;
  for (int d = 0; fits && d < shape.nbDims; ++d) fits = least.d[d] <= shape.d[d] && shape.d[d] <= most.d[d];
  if (fits) i->self->shapes[name] = shape;
  return fits;
}

// A -1 of an output is the number of prompts where it comes first, of masks where it comes second.
nvinfer1::Dims Context::shape(Impl* i, const char* name) {
  const ModelFile& model = i->self->engine.from_.model;
  std::int64_t prompts = 1, masks = 1;
  for (const TensorSpec& input : model.inputs) {
    const nvinfer1::Dims given = i->self->shapes.at(input.name);
    if (input.shape[0] < 0) (input.shape.size() == 1 ? masks : prompts) = given.d[0];
  }
  const auto at = model.output_index(name);
  nvinfer1::Dims dims{};
  if (at < 0) testing::unexpected();
  const Shape& shape = model.outputs[static_cast<std::size_t>(at)].shape;
  dims.nbDims = static_cast<int>(shape.size());
  for (std::size_t d = 0; d < shape.size(); ++d) dims.d[d] = shape[d] >= 0 ? shape[d] : d == 0 ? prompts : masks;
  return dims;
}

bool Context::enqueue(Impl* i, cudaStream_t stream) {
  // As TensorRT for RTX, whose plans are for ranges of shapes, and which compiles again for those that come.
  for (const auto& [name, dims] : i->self->shapes) {
    const bool ranges =
        i->self->engine.input_shape(name.c_str(), 0).d[0] != i->self->engine.input_shape(name.c_str(), 2).d[0];
    if (ranges && i->self->cache != nullptr) i->self->cache->need(name + " of " + std::to_string(dims.d[0]));
  }
  // As TensorRT does, addresses and shapes are taken when the work is queued, the numbers when it is done.
  const auto work = [request = i->self->request, shapes = i->self->shapes, addresses = i->self->addresses,
                     model = i->self->engine.from_.model] {
    for (std::size_t n = 0; n < model.inputs.size(); ++n) {
      const nvinfer1::Dims& dims = shapes.at(model.inputs[n].name);
      const Shape shape(dims.d, dims.d + dims.nbDims);
      std::memcpy(request->input(n, shape), addresses.at(model.inputs[n].name),
                  static_cast<std::size_t>(element_count(shape)) * 4);
    }
    const std::vector<TensorPtr> answers = request->run();
    for (std::size_t n = 0; n < answers.size(); ++n) {
      std::memcpy(addresses.at(model.outputs[n].name), answers[n]->host(), answers[n]->bytes());
    }
  };
  testing::stream_of(stream).queued.emplace_back(work);
  return true;
}

struct Runtime final : nvinfer1::IRuntime {
  struct Impl {
    void* const* table;
  } impl;
  Runtime() {
    static const Table kTable{{3, slot(&deserialize)}};
    impl = {kTable.slots};
    mImpl = reinterpret_cast<nvinfer1::apiv::VRuntime*>(&impl);
  }
  static nvinfer1::ICudaEngine* deserialize(Impl*, const void* plan, std::size_t bytes) {
    const std::lock_guard lock(g_mutex);
    const auto found = built().find(std::string(static_cast<const char*>(plan), bytes));
    if (found == built().end()) return nullptr;  // as a plan of another driver
    return new Engine(found->second);
  }
};

}  // namespace

void Logger::log(Severity, const char*) noexcept {}
std::string Logger::take_errors() { return "the stand-in's words"; }
Logger& logger() {
  static auto* instance = new Logger();
  return *instance;
}

const Library& library() {
  static const Library kLibrary{"TensorRT stand-in 1", true,
                                [](nvinfer1::ILogger&) -> nvinfer1::IRuntime* { return new Runtime(); }};
  return kLibrary;
}

std::vector<char> build_plan(const Library&, const ModelSource& source, const CompileOptions& options,
                             const CacheFolder&, const std::string& target) {
  const ModelFile& model = source.file();
  static_cast<void>(
      create_openvino("CPU")->compile(source, in_f32(options), CacheFolder("none", nullptr)));  // its errors
  BuildProgress progress(building(model, target), options.report);
  progress.start("build", "", 2);
  progress.step("build", 0);
  progress.finish("build");
  const std::string plan = "plan of " + plan_fingerprint(model, options, {"stand-in", target});
  const std::lock_guard lock(g_mutex);
  built()[plan] = {model, options};
  return {plan.begin(), plan.end()};
}

}  // namespace medsam::backends::tensorrt
