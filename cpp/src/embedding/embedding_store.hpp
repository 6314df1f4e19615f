// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A folder of embeddings, for several runs and processes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/cache_folder.hpp"
#include "medsam/embedding.hpp"

namespace medsam {

/// Embeddings kept between runs, a file each, named by image_digest() and holding it too: a file that was copied to
/// another's name is not taken for it. Thread-safe; several processes may share a folder.
class EmbeddingStore {
 public:
  EmbeddingStore(const std::string& folder, std::uint64_t budget, CacheFolder::Log log);
  [[nodiscard]] bool usable() const { return folder_.usable(); }
  /// Nothing when absent, damaged, of another image or larger than `plausible` bytes. That its geometry and shapes are
  /// those of the image and the model is for the caller to check.
  [[nodiscard]] std::optional<ImageEmbedding> load(const std::string& digest, std::uint64_t plausible) const;
  /// Failure is logged.
  void save(const std::string& digest, const ImageEmbedding& embedding) const;

 private:
  void prune() const;
  CacheFolder folder_;
  std::uint64_t budget_;
};

}  // namespace medsam
