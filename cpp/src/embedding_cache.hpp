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

#include "medsam/embedding.hpp"
#include "medsam/engine.hpp"
#include "medsam/image.hpp"

namespace medsam {

/// Names an image's embedding: 128 bits of xxHash over the pixels, their layout and the fingerprint of model and rules.
struct EmbeddingKey {
  std::uint64_t high = 0, low = 0;
  bool operator==(const EmbeddingKey&) const = default;
  /// 32 hex digits.
  [[nodiscard]] std::string hex() const;
};

/// The key of a checked image. Row padding takes no part: the same pixels give the same key at any stride.
EmbeddingKey embedding_key(const ImageView& image, const std::string& fingerprint);

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
  ImageEmbedding get(const EmbeddingKey& key, const Make& make, Keep keep = Keep::evicting);
  [[nodiscard]] CacheStats stats() const;
  void clear();

 private:
  struct Hash {
    std::size_t operator()(const EmbeddingKey& key) const { return static_cast<std::size_t>(key.low); }
  };
  struct Entry {
    EmbeddingKey key;
    ImageEmbedding embedding;
  };
  void insert(const EmbeddingKey& key, const ImageEmbedding& embedding, Keep keep);  // under mutex_

  const std::uint64_t budget_;
  mutable std::mutex mutex_;
  std::list<Entry> entries_;  // most recent first
  std::unordered_map<EmbeddingKey, std::list<Entry>::iterator, Hash> index_;
  std::unordered_map<EmbeddingKey, std::shared_future<ImageEmbedding>, Hash> making_;
  CacheStats stats_;
};

}  // namespace medsam
