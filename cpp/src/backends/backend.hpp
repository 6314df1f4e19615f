// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What an inference library must do for the engine. Plain tensors in and out; no vendor type leaves a backend's own
// file. A tensor may live on a device: the engine hands an embedding back to the backend that made it without looking
// inside, and asks for host memory only where the host needs the numbers. A backend whose device has the pixel kernels
// takes pixels in and gives masks out (Request::input_image, Tensor::write_mask): then nothing else crosses the bus.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/cache_folder.hpp"
#include "bundle/bundle.hpp"
#include "bundle/verified_model.hpp"
#include "kernels/pixels/pixel_kernels.hpp"

namespace medsam::backends {

using Shape = std::vector<std::int64_t>;

/// Number of elements.
std::int64_t element_count(const Shape& shape);

/// An immutable f32 tensor, shared between requests and threads.
class Tensor {
 public:
  explicit Tensor(Shape shape) : shape_(std::move(shape)) {}
  virtual ~Tensor();
  Tensor(const Tensor&) = delete;
  Tensor& operator=(const Tensor&) = delete;
  [[nodiscard]] const Shape& shape() const { return shape_; }
  /// Memory held.
  [[nodiscard]] virtual std::uint64_t bytes() const {
    return static_cast<std::uint64_t>(element_count(shape_)) * sizeof(float);
  }
  /// Row-major f32 in host memory; a device backend copies on the first call. Thread-safe.
  [[nodiscard]] virtual const float* host() const = 0;
  /// Whether no element is NaN or infinite; a device backend answers without keeping a copy on the host. Thread-safe.
  [[nodiscard]] virtual bool finite() const;

  /// (height, width) of this tensor's elements, from `offset` on; where `square` is not 0, upsampled to that side first
  /// (kernels::upsample_square).
  struct Map {
    std::int64_t offset = 0, height = 0, width = 0, square = 0;
  };
  /// Whether write_mask can be called.
  [[nodiscard]] virtual bool writes_masks() const { return false; }
  /// upsample_threshold of a map where the tensor lives, with the bits of kernels::table(); `params.logits` is not
  /// looked at, `params.out` is host memory. Thread-safe. BackendError.
  [[nodiscard]] virtual kernels::MaskStats write_mask(const Map& map,
                                                      const kernels::UpsampleThresholdParams& params) const;

 private:
  Shape shape_;
};
using TensorPtr = std::shared_ptr<const Tensor>;

/// A tensor in host memory.
class HostTensor final : public Tensor {
 public:
  /// Uninitialized; fill through mutable_host() before sharing.
  explicit HostTensor(Shape shape);
  [[nodiscard]] const float* host() const override { return data_.get(); }
  [[nodiscard]] float* mutable_host() { return data_.get(); }

 private:
  std::unique_ptr<float[]> data_;
};

inline constexpr const char* kImageNotFinite =
    "image: got NaN or infinity in f32 pixels, expected finite values; replace them first";

/// The top left part of a map of logits.
struct MapPart {
  std::int64_t height = 0, width = 0;
};

/// One inference at a time; used by one thread at a time. The engine keeps a pool of them.
class Request {
 public:
  virtual ~Request();
  /// Host memory of input `index` with this shape, to be written before run(); valid until run() returns.
  virtual void* input(std::size_t index, const Shape& shape) = 0;
  /// Fills input `index`, (1, 3, S, S), with an image where the input lives, with the bits of kernels::table(). False
  /// where the engine is to do it, through input(). `image` is read before this returns; whether its pixels are finite
  /// is for run() to say.
  virtual bool input_image(std::size_t index, const kernels::Pixels& image,
                           const kernels::ResizeNormalizeParams& params);
  /// Uses a tensor made by this backend as input `index`, wherever it lives; it must outlive run().
  virtual void bind(std::size_t index, const TensorPtr& tensor) = 0;
  /// Runs and returns every output as a tensor that nobody else writes to. InvalidArgument, kImageNotFinite, when
  /// input_image was given NaN or infinity.
  virtual std::vector<TensorPtr> run() = 0;
  /// run() of a mask decoder of whose logits, (N, M, h, w), the caller looks at `part` of every map alone. The maps of
  /// the answer may be smaller than (h, w), but not than `part`: their shape says how large they are. Here: run().
  virtual std::vector<TensorPtr> run_part(const MapPart& part);
};

/// A model ready to run. Immutable and thread-safe.
class CompiledModel {
 public:
  virtual ~CompiledModel();
  [[nodiscard]] virtual std::unique_ptr<Request> create_request() const = 0;
  /// Most prompts worth putting into one run; a power of two.
  [[nodiscard]] virtual std::size_t largest_batch() const;
};

struct CompileOptions {
  std::string precision;  // Variant::format of one that the backend runs
  int threads = 0;        // 0 = all
  /// Fixed shapes of inputs, in the order of the model's inputs; an empty Shape leaves one as the model has it.
  std::vector<Shape> input_shapes;
  /// Receives a line now and then while something that takes long is compiled, from any thread; nullptr = silence.
  std::function<void(const std::string&)> report = nullptr;
};

/// Thread-safe.
class Backend {
 public:
  virtual ~Backend();
  /// e.g. "OpenVINO 2026.4.1".
  [[nodiscard]] virtual std::string library() const = 0;
  /// What computes a stage's models, as certificates name it: the library, but where it is this one, whose stages have
  /// revisions of their own.
  [[nodiscard]] virtual std::string revision(Stage) const { return library(); }
  /// The device's own name, e.g. "Intel(R) Xeon(R) Processor".
  [[nodiscard]] virtual std::string device_name() const = 0;
  /// The device under its name in EngineOptions::device, for example "CPU", "GPU" or "cuda:0"; with "AUTO", the one
  /// that was chosen. Measurements are valid for the backend of this name.
  [[nodiscard]] virtual std::string device_id() const = 0;
  /// Whether the device computes in this format (Variant::format) by instructions of its own.
  [[nodiscard]] virtual bool native(const std::string& format) const = 0;
  /// Whether this library is the one to run such a variant, however fast the device is at its format. Of the variants
  /// of one name it takes at most one.
  [[nodiscard]] virtual bool takes(const Variant& variant) const {
    return variant.runner == Runner::graph && !variant.typed;
  }
  /// Whether a variant may be chosen for this backend.
  [[nodiscard]] bool runs(const Variant& variant) const { return takes(variant) && native(variant.format); }
  /// Compiles, or takes from the cache what this very library, device, precision and content hash gave before. What is
  /// compiled are the bytes of model.read() and no others: not one of the model's files is opened here.
  /// BackendError, ModelError, and what model.read() throws.
  [[nodiscard]] virtual std::shared_ptr<const CompiledModel> compile(const ModelSource& model,
                                                                     const CompileOptions& options,
                                                                     const CacheFolder& cache) const = 0;
};

/// The backend that serves `device`. Unsupported, naming what there is, when none does.
std::unique_ptr<Backend> create_backend(const std::string& device);

/// The backend that runs native models (docs/bundle.md, "The fused models") beside the one of `device`; nothing
/// where this processor is not fast at them.
std::unique_ptr<Backend> create_native(const std::string& device);

}  // namespace medsam::backends
