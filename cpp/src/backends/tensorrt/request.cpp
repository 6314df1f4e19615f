// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "backends/tensorrt/request.hpp"

#include <algorithm>
#include <cstring>

#include "base/text.hpp"
#include "medsam/error.hpp"

namespace medsam::backends::tensorrt {

namespace {

constexpr std::size_t kElement = 4;  // f32 and i32
constexpr std::size_t kFewNumbers = 4096;

// Whether an output is a few numbers, such as the ratings of masks, which come to the host with the run; maps stay.
bool is_few_numbers(const Tensor& output) { return output.shape().size() <= 2 && output.bytes() <= kFewNumbers; }

std::string text_of(const nvinfer1::Dims& shape) { return shape_text({shape.d, shape.d + std::max(0, shape.nbDims)}); }

nvinfer1::Dims to_dims(const Shape& shape) {
  nvinfer1::Dims dims{};
  dims.nbDims = static_cast<std::int32_t>(shape.size());
  if (shape.size() > nvinfer1::Dims::MAX_DIMS) throw InvalidArgument("tensor: got more dimensions than TensorRT knows");
  std::copy(shape.begin(), shape.end(), dims.d);
  return dims;
}

/// The encoder's work as one thing to launch. Recorded at the second run, when TensorRT has done what it does once.
class RecordedWork {
 public:
  ~RecordedWork() {
    if (graph_ != nullptr) static_cast<void>(cudaGraphExecDestroy(graph_));
  }
  /// Queues `enqueue`'s work, recorded when it can be.
  template <class F>
  void launch(cudaStream_t stream, F&& enqueue) {
    if (graph_ == nullptr && state_ == State::warm) record(stream, enqueue);
    if (graph_ != nullptr) {
      check(cudaGraphLaunch(graph_, stream), "launching recorded work");
      return;
    }
    enqueue();
    if (state_ == State::cold) state_ = State::warm;
  }

 private:
  enum class State { cold, warm, recorded };
  template <class F>
  void record(cudaStream_t stream, F&& enqueue) {
    state_ = State::recorded;  // tried once: what cannot be recorded is queued every time
    if (cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) != cudaSuccess) {
      static_cast<void>(cudaGetLastError());
      return;
    }
    bool queued = true;
    try {
      enqueue();
    } catch (const BackendError&) {
      queued = false;
    }
    cudaGraph_t graph = nullptr;
    const cudaError_t ended = cudaStreamEndCapture(stream, &graph);
    if (queued && ended == cudaSuccess && cudaGraphInstantiate(&graph_, graph, 0) != cudaSuccess) graph_ = nullptr;
    if (graph != nullptr) static_cast<void>(cudaGraphDestroy(graph));
    static_cast<void>(cudaGetLastError());
  }
  State state_ = State::cold;
  cudaGraphExec_t graph_ = nullptr;
};

class PlanRequest final : public Request {
 public:
  PlanRequest(std::shared_ptr<const LoadedPlan> plan, std::unique_ptr<nvinfer1::IExecutionContext> context)
      : plan_(std::move(plan)),
        context_(std::move(context)),
        inputs_(plan_->inputs.size()),
        outputs_(plan_->outputs.size()),
        flags_(plan_->device, plan_->outputs.size() + 1, stream_) {}

  void* input(std::size_t index, const Shape& shape) override {
    Input& in = prepare_input(index, shape, Source::host);
    grow(in.staging, in.used);
    return in.staging->get();
  }

  bool input_image(std::size_t index, const kernels::Pixels& image,
                   const kernels::ResizeNormalizeParams& params) override {
    plan_->device.use();
    if (!image_.take(image, params)) return false;
    prepare_input(index, {1, 3, params.out_size, params.out_size}, Source::image);
    return true;
  }

  void bind(std::size_t index, const TensorPtr& tensor) override {
    plan_->device.use();
    const auto* own = dynamic_cast<const DeviceTensor*>(tensor.get());
    if (own == nullptr || own->device_index() != plan_->device.index) {
      // An embedding from a file, a store or another device.
      const std::size_t bytes = static_cast<std::size_t>(element_count(tensor->shape())) * kElement;
      std::memcpy(input(index, tensor->shape()), tensor->host(), bytes);
      return;
    }
    Input& in = inputs_.at(index);
    set_shape(index, tensor->shape());
    in.bound = tensor;
    in.source = Source::bound;
    // TensorRT only reads an input; its call wants a mutable pointer.
    set_address(plan_->inputs[index].name, own->device_data());
  }

  std::vector<TensorPtr> run() override {
    plan_->device.use();
    bool image = false, bound = false;
    for (Input& in : inputs_) {
      image = image || in.source == Source::image;
      bound = bound || in.source == Source::bound;
      queue_input(in);
    }
    std::vector<Shape> shapes;
    shapes.reserve(outputs_.size());
    for (std::size_t i = 0; i < outputs_.size(); ++i) shapes.push_back(prepare_output(i));
    const auto enqueue = [this] {
      if (context_->enqueueV3(stream_.get())) return;
      throw BackendError("TensorRT: running " + plan_->path + " failed: " + logger().take_errors());
    };
    if (plan_->fixed && !bound) {  // recorded work has its addresses fixed
      recorded_.launch(stream_.get(), enqueue);
    } else {
      enqueue();
    }
    std::vector<std::shared_ptr<DeviceTensor>> answers;
    answers.reserve(outputs_.size());
    for (std::size_t i = 0; i < outputs_.size(); ++i) answers.push_back(keep_output(i, shapes[i]));
    flags_.fetch(stream_);
    stream_.wait();
    for (Input& in : inputs_) in.bound.reset();
    if (image && !flags_.get(outputs_.size())) throw InvalidArgument(kImageNotFinite);
    for (std::size_t i = 0; i < answers.size(); ++i) {
      answers[i]->set_finite(flags_.get(i));
      if (is_few_numbers(*answers[i])) answers[i]->set_host(outputs_[i].staging->get());
    }
    return {answers.begin(), answers.end()};
  }

 private:
  enum class Source { none, host, image, bound };  // of the next run's numbers
  struct Input {
    std::unique_ptr<PinnedBuffer> staging;
    std::unique_ptr<DeviceBuffer> device;
    std::size_t used = 0;
    TensorPtr bound;
    Source source = Source::none;
  };
  struct Output {
    std::unique_ptr<DeviceBuffer> device;
    std::unique_ptr<PinnedBuffer> staging;  // of a small one
  };

  // Memory for an input on the device.
  Input& prepare_input(std::size_t index, const Shape& shape, Source source) {
    plan_->device.use();
    Input& in = inputs_.at(index);
    set_shape(index, shape);
    in.used = static_cast<std::size_t>(element_count(shape)) * kElement;
    in.bound.reset();
    in.source = source;
    grow(in.device, plan_->device, in.used, stream_);
    set_address(plan_->inputs[index].name, in.device->get());
    return in;
  }

  void queue_input(Input& in) {
    // What an address of the last run points to may be gone.
    if (in.source == Source::none) throw BackendError("TensorRT: " + plan_->path + ": an input was not given");
    if (in.source == Source::image) {
      image_.queue(plan_->device, stream_, static_cast<float*>(in.device->get()), flags_.slot(outputs_.size()));
    } else if (in.source == Source::host) {
      check(cudaMemcpyAsync(in.device->get(), in.staging->get(), in.used, cudaMemcpyHostToDevice, stream_.get()),
            "copying an input to the device");
    }
    in.source = Source::none;
  }

  // A tensor with what an output's buffer will hold, which the next run writes again.
  std::shared_ptr<DeviceTensor> keep_output(std::size_t index, const Shape& shape) {
    Output& out = outputs_[index];
    auto tensor = std::make_shared<DeviceTensor>(shape, plan_->device, stream_, plan_->masks);
    check(cudaMemcpyAsync(tensor->device_data(), out.device->get(), tensor->bytes(), cudaMemcpyDeviceToDevice,
                          stream_.get()),
          "keeping an output");
    check_queued(kernels::cuda::table().all_finite(static_cast<const float*>(out.device->get()), element_count(shape),
                                                   flags_.slot(index), stream_.get()),
                 "looking for NaN");
    if (!is_few_numbers(*tensor)) return tensor;
    grow(out.staging, kFewNumbers);
    check(
        cudaMemcpyAsync(out.staging->get(), out.device->get(), tensor->bytes(), cudaMemcpyDeviceToHost, stream_.get()),
        "copying an output to the host");
    return tensor;
  }

  void set_shape(std::size_t index, const Shape& shape) {
    const TensorSpec& spec = plan_->inputs.at(index);
    const nvinfer1::Dims dims = to_dims(shape);
    if (context_->setInputShape(spec.name.c_str(), dims)) return;
    static_cast<void>(logger().take_errors());
    const nvinfer1::Dims most =
        plan_->engine->getProfileShape(spec.name.c_str(), 0, nvinfer1::OptProfileSelector::kMAX);
    throw Unsupported("input \"" + spec.name + "\": got the shape " + text_of(dims) + ", expected at most " +
                      text_of(most) + " on a GPU; give fewer points at once, or use device \"CPU\"");
  }

  void set_address(const std::string& name, void* data) {
    if (context_->setTensorAddress(name.c_str(), data)) return;
    throw BackendError("TensorRT: " + plan_->path + ": no tensor \"" + name + "\": " + logger().take_errors());
  }

  // Memory for an output of the shape that follows from the inputs'.
  Shape prepare_output(std::size_t index) {
    const std::string& name = plan_->outputs[index].name;
    const nvinfer1::Dims dims = context_->getTensorShape(name.c_str());
    if (dims.nbDims < 0 || std::any_of(dims.d, dims.d + dims.nbDims, [](std::int64_t d) { return d < 0; })) {
      throw BackendError("TensorRT: " + plan_->path + ": the shape of \"" + name +
                         "\" does not follow: " + logger().take_errors());
    }
    Shape shape(dims.d, dims.d + dims.nbDims);
    grow(outputs_[index].device, plan_->device, static_cast<std::size_t>(element_count(shape)) * kElement, stream_);
    set_address(name, outputs_[index].device->get());
    return shape;
  }

  std::shared_ptr<const LoadedPlan> plan_;  // first, so that it outlives the context
  Stream stream_;
  std::unique_ptr<nvinfer1::IExecutionContext> context_;
  std::vector<Input> inputs_;
  std::vector<Output> outputs_;
  Flags flags_;  // whether each output is finite; last, whether the image is
  ImageUpload image_;
  RecordedWork recorded_;
};

}  // namespace

Model::Model(const Library& library, const Device& device, const ModelFile& file, const std::vector<char>& plan,
             const CacheFolder& cache, const std::string& fingerprint)
    : plan_(std::make_shared<LoadedPlan>()) {
  plan_->device = device;
  plan_->path = file.path;
  plan_->inputs = file.inputs;
  plan_->outputs = file.outputs;
  plan_->masks = std::make_shared<MaskWriters>(device);
  static_cast<void>(logger().take_errors());
  plan_->runtime.reset(library.create_runtime(logger()));
  if (plan_->runtime) plan_->engine.reset(plan_->runtime->deserializeCudaEngine(plan.data(), plan.size()));
  if (!plan_->engine) throw BackendError("TensorRT: loading the plan of " + file.path + ": " + logger().take_errors());
  if (library.rtx) plan_->kernels = std::make_unique<KeptKernels>(*plan_->engine, device, cache, fingerprint);
  for (const TensorSpec& input : file.inputs) {
    const nvinfer1::Dims shape = plan_->engine->getTensorShape(input.name.c_str());
    const auto known = [](std::int64_t d) { return d >= 0; };
    plan_->fixed = plan_->fixed && std::all_of(shape.d, shape.d + std::max(shape.nbDims, 0), known);
  }
}

std::unique_ptr<Request> Model::create_request() const {
  plan_->device.use();
  std::unique_ptr<nvinfer1::IExecutionContext> context;
  {
    const std::lock_guard lock(plan_->mutex);
    if (plan_->kernels) {
      context = plan_->kernels->create_context();
    } else {
      context.reset(plan_->engine->createExecutionContext());
    }
  }
  if (!context) {
    throw BackendError("TensorRT: creating a context of " + plan_->path + ": " + logger().take_errors());
  }
  return std::make_unique<PlanRequest>(plan_, std::move(context));
}

std::size_t Model::largest_batch() const {
  std::int64_t most = 1;
  for (const TensorSpec& input : plan_->inputs) {
    if (input.shape.size() < 2 || input.shape[0] >= 0) continue;
    const nvinfer1::Dims dims =
        plan_->engine->getProfileShape(input.name.c_str(), 0, nvinfer1::OptProfileSelector::kMAX);
    if (dims.nbDims > 0) most = std::max<std::int64_t>(most, dims.d[0]);
  }
  return static_cast<std::size_t>(most);
}

}  // namespace medsam::backends::tensorrt
