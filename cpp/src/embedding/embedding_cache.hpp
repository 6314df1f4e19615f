// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Embeddings of images seen before, by content.
#pragma once

#include <cstdint>

#include "base/once_cache.hpp"
#include "embedding/image_key.hpp"
#include "medsam/embedding.hpp"
#include "medsam/engine_info.hpp"

namespace medsam {

/// Least recently used first out, within a budget of bytes. Thread-safe. Two threads that ask for one key at the same
/// time make it once: the second waits for the first.
class EmbeddingCache {
  using Cache = OnceCache<ImageKey, ImageEmbedding, ImageKey::Hash>;

 public:
  using Make = Cache::Make;
  using Keep = Cache::Keep;

  /// 0 bytes: nothing is kept (but concurrent requests for one key still share the work).
  explicit EmbeddingCache(std::uint64_t budget)
      : budget_(budget), cache_(budget, [](const ImageEmbedding& embedding) { return embedding.bytes(); }) {}

  /// The embedding of `key`, from the cache or from make(), whose exceptions pass through to everyone waiting.
  ImageEmbedding get(const ImageKey& key, const Make& make, Keep keep = Keep::evicting) {
    return cache_.get(key, make, keep);
  }

  [[nodiscard]] CacheStats stats() const {
    const Cache::Stats from = cache_.stats();
    CacheStats stats;
    stats.hits = from.hits;
    stats.misses = from.misses;
    stats.evictions = from.evictions;
    stats.entries = from.entries;
    stats.bytes = from.cost;
    stats.budget = budget_;
    return stats;
  }

  void clear() { cache_.clear(); }

 private:
  const std::uint64_t budget_;
  Cache cache_;
};

}  // namespace medsam
