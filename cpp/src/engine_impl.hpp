// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What an Engine holds: bundle -> backend -> encoder and decoder -> masks. Immutable but for pools and caches, which
// lock themselves.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "backends/backend.hpp"
#include "bundle.hpp"
#include "cache_folder.hpp"
#include "decoder.hpp"
#include "embedding_cache.hpp"
#include "embedding_data.hpp"
#include "embedding_file.hpp"
#include "medsam/engine.hpp"
#include "request_pool.hpp"

namespace medsam {

struct Engine::Impl {
  Impl(const std::string& folder, EngineOptions opts);

  ImageEmbedding encode(const ImageView& image, EmbeddingCache::Keep keep = EmbeddingCache::Keep::evicting) const;
  ImageEmbedding run_encoder(const ImageView& image) const;
  std::vector<MaskStats> segment(const ImageEmbedding& embedding, const std::vector<Box>& boxes, const LabelView& out,
                                 const SegmentOptions& options) const;
  Prediction predict(const ImageEmbedding& embedding, const std::vector<Prompt>& prompts,
                     const PredictOptions& options) const;
  std::vector<VolumeStats> segment_volume(const VolumeView& volume, const std::vector<Box3D>& boxes,
                                          const LabelVolumeView& out, const VolumeOptions& options) const;

  void check_process() const;
  const detail::EmbeddingData& checked(const ImageEmbedding& embedding) const;

  EngineOptions options;
  CacheFolder cache;
  Bundle bundle;
  ImageRules image_rules;  // the bundle's own: they belong to the weights
  Profile profile;
  std::unique_ptr<backends::Backend> backend;
  mutable std::unique_ptr<RequestPool> encoder;  // pools lock themselves
  mutable std::unique_ptr<Decoder> decoder;
  mutable EmbeddingCache embeddings;  // locks itself
  EmbeddingStore store;
  mutable std::atomic<std::uint64_t> store_hits{0};
  EngineInfo info;
  pid_t pid = ::getpid();

 private:
  std::shared_ptr<const backends::CompiledModel> compile(const char* role,
                                                         std::vector<backends::Shape> shapes = {}) const;
  void describe();
};

}  // namespace medsam
