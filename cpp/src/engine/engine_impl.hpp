// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What an Engine holds: bundle -> backend -> models (encoder and decoder) -> masks. Immutable but for pools and
// caches, which lock themselves.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backends/backend.hpp"
#include "base/cache_folder.hpp"
#include "bundle/bundle.hpp"
#include "embedding/embedding_cache.hpp"
#include "embedding/embedding_data.hpp"
#include "embedding/embedding_store.hpp"
#include "engine/prompts_in_flight.hpp"
#include "image/views.hpp"
#include "medsam/engine.hpp"
#include "model/compiled_models.hpp"
#include "model/model.hpp"
#include "platform/process.hpp"
#include "precision/resolve.hpp"

namespace medsam {

struct Engine::Impl {
  Impl(const std::string& folder, EngineOptions opts);

  ImageEmbedding encode(const CheckedImage& image, const std::string& modality) const;
  /// The same with a copy of the pixels, where the profile has windows: segment may need them.
  ImageEmbedding encode_with_pixels(const CheckedImage& image, const std::string& modality) const;
  /// `image`: what the embedding is of; nullptr = the copy that the embedding has, if any.
  std::vector<MaskStats> segment(const ImageEmbedding& embedding, const std::vector<Box>& boxes, const LabelView& out,
                                 const SegmentOptions& options, const CheckedImage* image = nullptr) const;
  /// Whether prompts of these kinds are answered; `name` begins the message. Unsupported, InvalidArgument.
  void check_prompt(PromptKinds kinds, bool allow_untrained, const std::string& name) const;
  Prediction predict(const ImageEmbedding& embedding, const std::vector<Prompt>& prompts,
                     const PredictOptions& options) const;
  std::vector<VolumeStats> segment_volume(const VolumeView& volume, const std::vector<Box3D>& boxes,
                                          const LabelVolumeView& out, const VolumeOptions& options) const;

  /// The bundle's own profile for "" and for its name, else the built-in one. ModelError.
  [[nodiscard]] Profile profile_of(const std::string& name) const;
  /// Who answers for an image of this modality; "" = EngineOptions::modality.
  [[nodiscard]] Route route_of(const std::string& modality) const;

  EngineOptions options;
  CacheFolder cache;
  Bundle bundle;
  Profile profile;
  std::unique_ptr<backends::Backend> backend;  // of the device
  std::unique_ptr<backends::Backend> native;   // of native models beside graphs; null where there are none
  RunPlan plan;                                // of the bundle and the backends above
  mutable EmbeddingCache embeddings;           // locks itself
  EmbeddingStore store;
  mutable std::atomic<std::uint64_t> store_hits{0};
  EngineInfo info;
  mutable PromptsInFlight prompts_in_flight;  // locks itself
  /// Unsupported in a child process after fork.
  void check_process() const;

  platform::ProcessId process = platform::process_id();

 private:
  struct Checked {
    const detail::EmbeddingData& data;
    std::shared_ptr<Model> model;
    const std::string& expert;
  };

  /// Whether an embedding's geometry, shapes, pixels and modality are what this engine makes of an image of its size.
  [[nodiscard]] bool plausible(const detail::EmbeddingData& data, const std::string& expert) const;
  /// Whether it is one that this expert made of an image of this size and kind.
  [[nodiscard]] bool made_of(const ImageEmbedding& embedding, const CheckedImage& image,
                             const std::string& expert) const;
  /// The bytes that an embedding of the image has at most, as a file.
  [[nodiscard]] std::uint64_t largest_file(const CheckedImage& image, const std::string& expert) const;
  /// An embedding that one of this engine's models made, and that model.
  [[nodiscard]] Checked checked(const ImageEmbedding& embedding) const;
  /// The boxes of a call that a window serves, and all that their masks are made with.
  class WindowMasks;
  ImageEmbedding encode(const CheckedImage& image, const Route& route, EmbeddingCache::Keep keep) const;
  /// Bypasses all caches.
  [[nodiscard]] ImageEmbedding encode_anew(const CheckedImage& image, const std::string& expert) const;
  std::shared_ptr<Model> load_model(const std::string& name) const;
  std::shared_ptr<const backends::CompiledModel> compile(const ModelFile& model,
                                                         std::vector<backends::Shape> shapes) const;
  std::shared_ptr<const backends::CompiledModel> compile_anew(const ModelFile& model,
                                                              std::vector<backends::Shape> shapes) const;
  void describe();

  std::map<std::string, std::string> fingerprints_;  // expert -> what its embeddings carry
  mutable CompiledModels compiled_;                  // locks itself
  mutable std::unique_ptr<ModelPool> models_;        // locks itself; last, so that it goes before what models use
};

}  // namespace medsam
