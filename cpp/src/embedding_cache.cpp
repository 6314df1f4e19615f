// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "embedding_cache.hpp"

#include <xxhash.h>

#include <cstdio>
#include <memory>

namespace medsam {

std::string EmbeddingKey::hex() const {
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(high),
                static_cast<unsigned long long>(low));
  return text;
}

EmbeddingKey embedding_key(const ImageView& image, const std::string& fingerprint) {
  struct FreeState {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  const std::unique_ptr<XXH3_state_t, FreeState> state(XXH3_createState());
  if (!state) throw std::bad_alloc();
  XXH3_128bits_reset(state.get());
  const std::int64_t layout[4] = {image.height, image.width, image.channels, static_cast<std::int64_t>(image.type)};
  XXH3_128bits_update(state.get(), layout, sizeof layout);
  XXH3_128bits_update(state.get(), fingerprint.data(), fingerprint.size());
  const std::int64_t sample = image.type == PixelType::u8 ? 1 : image.type == PixelType::f32 ? 4 : 2;
  const auto row_bytes = static_cast<std::size_t>(image.width * image.channels * sample);
  for (std::int64_t y = 0; y < image.height; ++y) {
    XXH3_128bits_update(state.get(), static_cast<const char*>(image.data) + y * image.row_stride, row_bytes);
  }
  const XXH128_hash_t hash = XXH3_128bits_digest(state.get());
  return {hash.high64, hash.low64};
}

ImageEmbedding EmbeddingCache::get(const EmbeddingKey& key, const Make& make, Keep keep) {
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

void EmbeddingCache::insert(const EmbeddingKey& key, const ImageEmbedding& embedding, Keep keep) {
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
