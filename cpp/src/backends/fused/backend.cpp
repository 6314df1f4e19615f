// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Encoders on this library's own kernels: the weights are the bundle's, the network is code. There is nothing to
// compile and nothing to cache.
#include <cstring>

#include "../backend.hpp"
#include "kernels/kernels.hpp"
#include "medsam/error.hpp"
#include "tiny_vit.hpp"

namespace medsam::backends {

namespace fused {
namespace {

// To be raised when the same weights give another embedding, but for rounding noise: certificates name it.
constexpr const char* kName = "fused 1";

// Linear layers in one bf16 term, convolutions in two. A merge between two stages has no residual beside it: in one
// term it alone makes the embedding's error twice as large (docs/precision.md).
constexpr Precision kPrecision = {.patch_embed = Terms::two,
                                  .bottleneck = Terms::two,
                                  .merge = Terms::two,
                                  .attention = Terms::one,
                                  .perceptron = Terms::one,
                                  .neck = Terms::two};

/// What a model and its requests share.
struct Loaded {
  TinyVitModel model;
  std::unique_ptr<ThreadPool> threads;
  Machine machine;
};

class FusedRequest final : public Request {
 public:
  explicit FusedRequest(std::shared_ptr<const Loaded> loaded)
      : loaded_(std::move(loaded)), workspace_(loaded_->model, loaded_->threads->size()) {}

  void* input(std::size_t index, const Shape& shape) override {
    const std::int64_t side = loaded_->model.input_size;
    if (index != 0 || shape != Shape{1, 3, side, side}) {
      throw BackendError("fused encoder: got an input of another shape than (1, 3, " + std::to_string(side) + ", " +
                         std::to_string(side) + ")");
    }
    image_.resize(static_cast<std::size_t>(3 * side * side));
    return image_.data();
  }

  void bind(std::size_t, const TensorPtr&) override { throw BackendError("fused encoder: takes no embedding"); }

  std::vector<TensorPtr> run() override {
    auto embedding = std::make_shared<HostTensor>(loaded_->model.output_shape());
    run_tiny_vit(loaded_->model, loaded_->machine, image_.data(), workspace_, embedding->mutable_host());
    return {embedding};
  }

 private:
  std::shared_ptr<const Loaded> loaded_;
  Workspace workspace_;
  std::vector<float> image_;
};

class FusedModel final : public CompiledModel {
 public:
  explicit FusedModel(std::shared_ptr<const Loaded> loaded) : loaded_(std::move(loaded)) {}
  std::unique_ptr<Request> create_request() const override { return std::make_unique<FusedRequest>(loaded_); }

 private:
  std::shared_ptr<const Loaded> loaded_;
};

class FusedBackend final : public Backend {
 public:
  std::string name() const override { return kName; }
  std::string device() const override { return kernels::available_products().back()->name; }
  bool native(const std::string& precision) const override { return precision == "bf16_fused"; }
  // With AVX-512's dot products alone, an encode took 3 times OpenVINO's bf16_mixed on a processor that has both, where
  // AMX takes 0.7 of it; on one whose bf16 is built otherwise `tune` may find it faster.
  bool fast(const std::string& /*precision*/) const override { return device() == "AMX"; }

  std::shared_ptr<const CompiledModel> compile(const ModelFile& file, const CompileOptions& options,
                                               const CacheFolder& /*cache*/) const override {
    if (!native(options.precision)) {
      throw Unsupported("precision: got \"" + options.precision + "\", expected bf16_fused of a fused encoder");
    }
    const Weights weights(file.path);
    if (weights.architecture() != "tiny_vit") {
      weights.refuse("holds the architecture \"" + weights.architecture().substr(0, 40) + "\", expected tiny_vit");
    }
    auto loaded = std::make_shared<Loaded>();
    loaded->model = load_tiny_vit(weights, kPrecision);
    Shape expected = file.outputs.at(0).shape;
    expected[0] = 1;
    if (loaded->model.output_shape() != expected || file.outputs.size() != 1) {
      weights.refuse("makes another embedding than the encoder");
    }
    weights.release_pages();
    loaded->threads = std::make_unique<ThreadPool>(options.threads);
    loaded->machine = {kernels::available_encoder_kernels().back(), kernels::available_products().back(),
                       loaded->threads.get()};
    return std::make_shared<FusedModel>(loaded);
  }
};

}  // namespace
}  // namespace fused

std::unique_ptr<Backend> create_fused(const std::string& device) {
  // The oracle among the products is there for tests: a thousand times slower.
  const bool fast = kernels::available_products().size() > 1;
  return device == "CPU" && fast ? std::make_unique<fused::FusedBackend>() : nullptr;
}

}  // namespace medsam::backends
