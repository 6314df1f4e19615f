// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "embedding/embedding_cache.hpp"

#include <memory>

namespace medsam {

ImageEmbedding EmbeddingCache::get(const ImageKey& key, const Make& make, Keep keep) {
  std::promise<ImageEmbedding> promise;
  {
    std::unique_lock lock(mutex_);
    if (const auto found = index_.find(key); found != index_.end()) {
      entries_.splice(entries_.begin(), entries_, found->second);
      ++stats_.hits;
      return found->second->embedding;
    }
    if (const auto found = making_.find(key); found != making_.end()) {
      const auto future = found->second;
      ++stats_.hits;
      lock.unlock();
      return future.get();
    }
    ++stats_.misses;
    making_.emplace(key, promise.get_future().share());
  }
  try {
    ImageEmbedding embedding = make();
    const std::lock_guard lock(mutex_);
    making_.erase(key);
    insert(key, embedding, keep);
    promise.set_value(embedding);
    return embedding;
  } catch (...) {
    const std::lock_guard lock(mutex_);
    making_.erase(key);
    promise.set_exception(std::current_exception());
    throw;
  }
}

void EmbeddingCache::insert(const ImageKey& key, const ImageEmbedding& embedding, Keep keep) {
  const std::uint64_t bytes = embedding.bytes();
  if (keep == Keep::if_there_is_room && stats_.bytes + bytes > budget_) return;
  if (bytes > budget_ || index_.count(key) != 0) return;
  while (stats_.bytes + bytes > budget_) {
    const Entry& oldest = entries_.back();
    stats_.bytes -= oldest.embedding.bytes();
    ++stats_.evictions;
    index_.erase(oldest.key);
    entries_.pop_back();
  }
  entries_.push_front({key, embedding});
  index_.emplace(key, entries_.begin());
  stats_.bytes += bytes;
}

CacheStats EmbeddingCache::stats() const {
  const std::lock_guard lock(mutex_);
  CacheStats stats = stats_;
  stats.entries = entries_.size();
  stats.budget = budget_;
  return stats;
}

void EmbeddingCache::clear() {
  const std::lock_guard lock(mutex_);
  entries_.clear();
  index_.clear();
  stats_.bytes = 0;
}

}  // namespace medsam
