// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Encoders on this library's own kernels: the weights are the bundle's, the network is code.
#include <cstring>

#include "backends/backend.hpp"
#include "backends/native/tiny_vit.hpp"
#include "backends/openvino/cached_blob.hpp"
#include "base/sha256.hpp"
#include "medsam/error.hpp"

namespace medsam::backends {

namespace native {
namespace {

// To be raised when the same weights give another embedding, but for rounding noise: certificates name it.
constexpr const char* kName = "fused 2";

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

/// What a model and its requests share.
struct Loaded {
  Network network;
  std::unique_ptr<ThreadPool> threads;
  Machine machine;
};

class NativeRequest final : public Request {
 public:
  explicit NativeRequest(std::shared_ptr<const Loaded> loaded)
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
    native::run(loaded_->network, loaded_->machine, image_.data(), workspace_, embedding->mutable_host());
    return {embedding};
  }

 private:
  std::shared_ptr<const Loaded> loaded_;
  Workspace workspace_;
  std::vector<float> image_;
};

class NativeModel final : public CompiledModel {
 public:
  explicit NativeModel(std::shared_ptr<const Loaded> loaded) : loaded_(std::move(loaded)) {}
  std::unique_ptr<Request> create_request() const override { return std::make_unique<NativeRequest>(loaded_); }

 private:
  std::shared_ptr<const Loaded> loaded_;
};

class NativeBackend final : public Backend {
 public:
  std::string library() const override { return kName; }
  std::string device_id() const override { return "CPU"; }
  std::string device_name() const override { return kernels::encoder_target().name; }
  bool native(const std::string& precision) const override {
    const EncoderTarget& target = kernels::encoder_target();
    return precision == kBf16Fused ? target.fast_bf16 : precision == kF32Fused && target.fast_f32;
  }

  bool takes(const Variant& variant) const override { return variant.runner == Runner::native; }

  std::shared_ptr<const CompiledModel> compile(const ModelSource& source, const CompileOptions& options,
                                               const CacheFolder& cache) const override {
    const ModelFile& file = source.file();
    if (!native(options.precision)) {
      throw Unsupported("precision: got \"" + options.precision +
                        "\", expected bf16_fused or f32_fused of a native encoder");
    }
    // There is nothing to compile, so what the cache keeps are the verified bytes: a start reads and checks them at the
    // speed of memory, where SHA-256 of the bundle's file would take as long as the rest of it.
    const std::string entry = "weights/" + sha256_hex("weights 1\n" + file.content_hash()) + ".safetensors";
    if (const auto kept = CachedBlob::read(cache, entry)) {
      auto model = load(file, kept->bytes(), options);
      kept->release_pages();
      return model;
    }
    const auto verified = source.read();
    auto model = load(file, verified->bytes(), options);
    CachedBlob::write(cache, entry, [&](std::ostream& out) { out << verified->bytes(); });
    return model;
  }

 private:
  static std::shared_ptr<const CompiledModel> load(const ModelFile& file, std::string_view bytes,
                                                   const CompileOptions& options) {
    const Weights weights(file.path, bytes);
    if (weights.architecture() != "tiny_vit") {
      weights.refuse("holds the architecture \"" + weights.architecture().substr(0, 40) + "\", expected tiny_vit");
    }
    auto loaded = std::make_shared<Loaded>();
    loaded->network = load_tiny_vit(weights, options.precision == kBf16Fused ? kRounded : kExact);
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
    loaded->threads = std::make_unique<ThreadPool>(options.threads);
    loaded->machine = {&kernels::encoder_target(), loaded->threads.get()};
    return std::make_shared<NativeModel>(loaded);
  }
};

}  // namespace
}  // namespace native

std::unique_ptr<Backend> create_native(const std::string& device) {
  if (device != "CPU") return nullptr;
  auto backend = std::make_unique<native::NativeBackend>();
  return backend->native(kBf16Fused) || backend->native(kF32Fused) ? std::move(backend) : nullptr;
}

}  // namespace medsam::backends
