// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Models on this library's own kernels: the weights are the bundle's, the network is code. An architecture is a line in
// the table below, and a loader (architecture.hpp).
#include "backends/backend.hpp"
#include "backends/cached_blob.hpp"
#include "backends/native/architecture.hpp"
#include "backends/processor.hpp"
#include "base/sha256.hpp"
#include "base/text.hpp"
#include "kernels/encoder/encoder_kernels.hpp"
#include "medsam/error.hpp"

namespace medsam::backends {

namespace native {
namespace {

constexpr Architecture kArchitectures[] = {
    {"tiny_vit", Stage::encoder, load_tiny_vit_encoder},
    {"efficient_vit", Stage::encoder, load_efficient_vit_encoder},
    {"sam_decoder", Stage::decoder, load_sam_decoder_model},
};

// Each to be raised when the same weights give other results of that stage, but for rounding noise: certificates name
// them. They are apart so that a change to one stage's kernels leaves the other's certificates valid.
constexpr const char *kEncoders = "fused 2", *kDecoders = "fused decoder 1";

std::shared_ptr<const CompiledModel> load(const ModelFile& file, std::string_view bytes,
                                          const CompileOptions& options) {
  const Weights weights(file.path, bytes);
  const std::string name = weights.architecture();
  const Stage stage = file.stage();
  std::vector<std::string> known;
  for (const Architecture& architecture : kArchitectures) {
    if (architecture.stage != stage) continue;
    if (architecture.name == name) {
      std::shared_ptr<const CompiledModel> model = architecture.load(weights, file, options);
      weights.check_all_read();
      return model;
    }
    known.emplace_back(architecture.name);
  }
  weights.refuse("holds the architecture \"" + name.substr(0, 40) + "\", expected " + joined(known) + " for " +
                 file.role);
}

class NativeBackend final : public Backend {
 public:
  std::string library() const override { return std::string(kEncoders) + ", " + kDecoders; }
  std::string revision(Stage stage) const override { return stage == Stage::encoder ? kEncoders : kDecoders; }
  std::string device_id() const override { return "CPU"; }
  std::string device_name() const override {
    const std::string& name = processor().name;
    return name.empty() ? kernels::encoder_target().name : name;
  }
  bool native(const std::string& precision) const override {
    const kernels::EncoderTarget& target = kernels::encoder_target();
    return precision == kBf16Fused ? target.fast_bf16 : precision == kF32Fused && target.fast_f32;
  }

  bool takes(const Variant& variant) const override { return variant.runner == Runner::native; }

  std::shared_ptr<const CompiledModel> compile(const ModelSource& source, const CompileOptions& options,
                                               const CacheFolder& cache) const override {
    const ModelFile& file = source.file();
    if (!native(options.precision)) {
      throw Unsupported("precision: got \"" + options.precision +
                        "\", expected bf16_fused or f32_fused of a native model");
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
};

}  // namespace
}  // namespace native

std::unique_ptr<Backend> create_native(const std::string& device) {
  if (device != "CPU") return nullptr;
  auto backend = std::make_unique<native::NativeBackend>();
  return backend->native(kBf16Fused) || backend->native(kF32Fused) ? std::move(backend) : nullptr;
}

}  // namespace medsam::backends
