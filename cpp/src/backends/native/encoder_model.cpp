// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "backends/native/encoder_model.hpp"

#include <string>
#include <utility>
#include <vector>

#include "backends/native/architecture.hpp"
#include "backends/native/efficient_vit.hpp"
#include "backends/native/padding.hpp"
#include "backends/native/tiny_vit.hpp"
#include "medsam/error.hpp"

namespace medsam::backends::native {

namespace {

// A merge between two stages has no residual beside it, so what it rounds is lost (docs/precision.md).
constexpr Precision kRounded = {.patch_embed = Format::f32,
                                .bottleneck = Format::bf16,
                                .merge_expand = Format::bf16,
                                .merge_project = Format::f32,
                                .attention = Format::bf16,
                                .perceptron = Format::bf16,
                                .neck = Format::bf16};

constexpr Precision kExact = {Format::f32, Format::f32, Format::f32, Format::f32,
                              Format::f32, Format::f32, Format::f32};

// Here a merge's projection rounded costs nothing that shows in the embedding's error (1.0e-2 with it and without).
constexpr EfficientVitPrecision kRoundedEfficientVit = {.stem = Format::f32,
                                                        .convolution = Format::bf16,
                                                        .bottleneck = Format::bf16,
                                                        .merge = Format::bf16,
                                                        .merge_project = Format::bf16,
                                                        .attention = Format::bf16,
                                                        .map = Format::f32,
                                                        .neck = Format::bf16,
                                                        .output = Format::f32};

constexpr EfficientVitPrecision kExactEfficientVit = {Format::f32, Format::f32, Format::f32, Format::f32, Format::f32,
                                                      Format::f32, Format::f32, Format::f32, Format::f32};

/// What a model and its requests share.
struct Loaded {
  Network network;
  std::shared_ptr<ThreadPool> threads;
  Machine machine;
  std::unique_ptr<const Blank> blank;
};

class EncoderRequest final : public Request {
 public:
  explicit EncoderRequest(std::shared_ptr<const Loaded> loaded)
      : loaded_(std::move(loaded)), workspace_(loaded_->network, loaded_->threads->size()) {}

  void* input(std::size_t index, const Shape& shape) override {
    const std::int64_t side = loaded_->network.input_shape.back();
    if (index != 0 || shape != loaded_->network.input_shape) {
      throw BackendError("fused encoder: got an input of another shape than (1, 3, " + std::to_string(side) + ", " +
                         std::to_string(side) + ")");
    }
    image_.resize(static_cast<std::size_t>(3 * side * side));
    return image_.data();
  }

  void bind(std::size_t, const TensorPtr&) override { throw BackendError("fused encoder: takes no embedding"); }

  std::vector<TensorPtr> run() override {
    auto embedding = std::make_shared<HostTensor>(loaded_->network.output_shape);
    native::run(loaded_->network, loaded_->machine, *loaded_->blank, image_.data(), workspace_,
                embedding->mutable_host());
    return {embedding};
  }

 private:
  std::shared_ptr<const Loaded> loaded_;
  Workspace workspace_;
  std::vector<float> image_;
};

class EncoderModel final : public CompiledModel {
 public:
  explicit EncoderModel(std::shared_ptr<const Loaded> loaded) : loaded_(std::move(loaded)) {}
  std::unique_ptr<Request> create_request() const override { return std::make_unique<EncoderRequest>(loaded_); }

 private:
  std::shared_ptr<const Loaded> loaded_;
};

}  // namespace

std::shared_ptr<const CompiledModel> encoder_model(Network network, const Weights& weights, const ModelFile& file,
                                                   const CompileOptions& options) {
  auto loaded = std::make_shared<Loaded>();
  loaded->network = std::move(network);
  const std::int64_t side = loaded->network.input_shape.back();
  const Shape& image = file.inputs.at(0).shape;
  if (image.size() != 4 || image[2] != side || image[3] != side) {
    weights.refuse("takes images of " + std::to_string(side) + " pixels a side, not the encoder's");
  }
  Shape expected = file.outputs.at(0).shape;
  expected[0] = 1;
  if (loaded->network.output_shape != expected || file.outputs.size() != 1) {
    weights.refuse("makes another embedding than the encoder");
  }
  loaded->threads = pool_of_model(options.threads);
  loaded->machine = {&kernels::encoder_target(), loaded->threads.get()};
  loaded->blank = std::make_unique<const Blank>(loaded->network, loaded->machine);
  return std::make_shared<EncoderModel>(loaded);
}

std::shared_ptr<const CompiledModel> load_efficient_vit_encoder(const Weights& weights, const ModelFile& file,
                                                                const CompileOptions& options) {
  const EfficientVitPrecision& precision = options.precision == kBf16Fused ? kRoundedEfficientVit : kExactEfficientVit;
  return encoder_model(load_efficient_vit(weights, precision), weights, file, options);
}

std::shared_ptr<const CompiledModel> load_tiny_vit_encoder(const Weights& weights, const ModelFile& file,
                                                           const CompileOptions& options) {
  return encoder_model(load_tiny_vit(weights, options.precision == kBf16Fused ? kRounded : kExact), weights, file,
                       options);
}

}  // namespace medsam::backends::native
