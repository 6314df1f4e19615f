// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A model that is ready to run, and the pool of them: a bundle with experts has one per expert, loaded when it is
// first asked for.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backends/backend.hpp"
#include "base/once_cache.hpp"
#include "bundle/bundle.hpp"
#include "embedding/embedding_data.hpp"
#include "image/views.hpp"
#include "model/decoder.hpp"
#include "model/request_pool.hpp"

namespace medsam {

/// Where an image of this size lies in the bundle's frames.
ImageGeometry bundle_geometry(const Bundle& bundle, std::int64_t height, std::int64_t width);

/// An image encoder and its decoder. Thread-safe.
class Model {
 public:
  /// Compiles a model, some inputs fixed to these shapes.
  using Compile =
      std::function<std::shared_ptr<const backends::CompiledModel>(const ModelFile&, std::vector<backends::Shape>)>;

  /// `bundle` must outlive the model. Compiles encoder and decoder side by side.
  Model(const Bundle& bundle, const std::string& name, std::string fingerprint, const Compile& compile);

  /// An image's embedding, in f32. BackendError, ModelError, InvalidArgument (pixels).
  [[nodiscard]] std::shared_ptr<detail::EmbeddingData> encode(const CheckedImage& image);
  [[nodiscard]] Decoder& decoder() { return *decoder_; }
  /// What prompts about an image of this model are translated with; refers to the arguments.
  [[nodiscard]] PromptContext context(const detail::EmbeddingData& image, const PromptRules& rules) const;

 private:
  const Bundle& bundle_;
  const ModelSet& files_;
  std::string fingerprint_;
  bool crops_;
  std::unique_ptr<Decoder> decoder_;
  std::unique_ptr<RequestPool> encoder_;
};

/// At most `limit` models, the least recently used out first; one still at work lives until its work ends.
/// Thread-safe; two threads that ask for the same model load it once.
class ModelPool {
 public:
  using Load = std::function<std::shared_ptr<Model>(const std::string& name)>;

  ModelPool(std::size_t limit, Load load) : load_(std::move(load)), models_(limit) {}

  /// The model of the expert of that name, "" without experts; exceptions of `load` pass through to everyone waiting,
  /// and the next call tries again.
  std::shared_ptr<Model> get(const std::string& name) {
    return models_.get(name, [&] { return load_(name); });
  }
  /// Names of those held, most recently used first.
  [[nodiscard]] std::vector<std::string> loaded() const { return models_.keys(); }

 private:
  Load load_;
  OnceCache<std::string, std::shared_ptr<Model>> models_;
};

}  // namespace medsam
