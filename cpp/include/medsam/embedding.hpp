// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "medsam/export.hpp"

namespace medsam {

namespace detail {
struct EmbeddingData;
}

/// How an engine keeps embeddings. f16 halves their memory; values are rounded to half precision once, at encode time,
/// so an answer does not depend on whether the embedding came from the cache.
enum class EmbeddingStorage : std::uint8_t {
  f32,  ///< As the encoder gives them.
  f16,  ///< Half the memory.
};

/// One encoded image: the encoder's outputs, the geometry that maps prompts to it, and the fingerprint of the model and
/// image rules that made it. Immutable and cheap to copy (shared); safe to use from many threads and to outlive its
/// Engine. Only an engine with the same fingerprint accepts it (ModelError otherwise).
class MEDSAM_ENGINE_EXPORT ImageEmbedding {
 public:
  ImageEmbedding() = default;
  /// For the library itself.
  explicit ImageEmbedding(std::shared_ptr<const detail::EmbeddingData> data);

  /// False for a default-constructed embedding, which every call rejects with InvalidArgument.
  [[nodiscard]] bool valid() const noexcept { return data_ != nullptr; }
  [[nodiscard]] std::int64_t height() const;  ///< Rows of the original image.
  [[nodiscard]] std::int64_t width() const;   ///< Columns of the original image.
  /// The image embedding's shape, (1, C, h, w).
  [[nodiscard]] std::vector<std::int64_t> shape() const;
  /// The image embedding, row-major f32 of shape(); valid as long as any copy of this object lives.
  [[nodiscard]] const float* data() const;
  /// Bytes held: all encoder outputs, and the image's pixels where the model looks at them again.
  [[nodiscard]] std::uint64_t bytes() const;
  /// Hex digest naming the encoder, its precision, its image rules and the storage.
  [[nodiscard]] const std::string& fingerprint() const;

  /// The embedding as bytes, to save or send: portable between machines, guarded by a digest. As f16 when made with
  /// EmbeddingStorage::f16 (exact either way).
  [[nodiscard]] std::string serialize() const;
  /// The opposite. ModelError when the bytes are not what serialize() wrote. Which engine may use the embedding is
  /// checked when it is used.
  static ImageEmbedding deserialize(const void* data, std::size_t size);

  /// For the library itself.
  [[nodiscard]] const std::shared_ptr<const detail::EmbeddingData>& impl() const noexcept { return data_; }

 private:
  std::shared_ptr<const detail::EmbeddingData> data_;
};

}  // namespace medsam
