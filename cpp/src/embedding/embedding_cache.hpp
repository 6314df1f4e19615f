// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Embeddings of images seen before, by content.
#pragma once

#include <cstdint>
#include <functional>
#include <future>
#include <list>
#include <mutex>
#include <string>
#include <unordered_map>

#include "embedding/image_key.hpp"
#include "medsam/embedding.hpp"
#include "medsam/engine_info.hpp"

namespace medsam {

/// Least recently used first out, within a budget of bytes. Thread-safe. Two threads that ask for one key at the same
/// time make it once: the second waits for the first.
class EmbeddingCache {
 public:
  using Make = std::function<ImageEmbedding()>;

  /// 0 bytes: nothing is kept (but concurrent requests for one key still share the work).
  explicit EmbeddingCache(std::uint64_t budget) : budget_(budget) {}

  /// Whether what is made may push out what was used longer ago.
  enum class Keep { evicting, if_there_is_room };

  /// The embedding of `key`, from the cache or from make(), whose exceptions pass through to everyone waiting.
  ImageEmbedding get(const ImageKey& key, const Make& make, Keep keep = Keep::evicting);
  [[nodiscard]] CacheStats stats() const;
  void clear();

 private:
  struct Entry {
    ImageKey key;
    ImageEmbedding embedding;
  };
  void insert(const ImageKey& key, const ImageEmbedding& embedding, Keep keep);  // under mutex_

  const std::uint64_t budget_;
  mutable std::mutex mutex_;
  std::list<Entry> entries_;  // most recent first
  std::unordered_map<ImageKey, std::list<Entry>::iterator, ImageKey::Hash> index_;
  std::unordered_map<ImageKey, std::shared_future<ImageEmbedding>, ImageKey::Hash> making_;
  CacheStats stats_;
};

}  // namespace medsam
