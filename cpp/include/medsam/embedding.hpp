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
/// so results do not depend on whether an embedding came from the cache.
enum class EmbeddingStorage : std::uint8_t {
  f32,  ///< As the encoder computes them.
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
  /// The shape of the image embedding, (1, C, h, w).
  [[nodiscard]] std::vector<std::int64_t> shape() const;
  /// The image embedding, row-major f32 of shape(); valid as long as any copy of this object lives.
  [[nodiscard]] const float* data() const;
  /// Bytes held: all outputs of the encoder, and the pixels of the image if the model uses them again or the profile
  /// answers small boxes from windows of the image.
  [[nodiscard]] std::uint64_t bytes() const;
  /// Hex digest that identifies the encoder, its precision, its image rules and the storage.
  [[nodiscard]] const std::string& fingerprint() const;

  /// The embedding as bytes, to be saved or sent. They are portable between machines and protected by a digest. Values
  /// are written as f16 if the embedding was made with EmbeddingStorage::f16; both forms are exact. Pixels that the
  /// embedding keeps are written, too.
  [[nodiscard]] std::string serialize() const;
  /// The inverse of serialize(). Raises ModelError if serialize() did not write the bytes. Whether an engine may use
  /// the embedding is checked when it is used.
  static ImageEmbedding deserialize(const void* data, std::size_t size);

  /// For the library itself.
  [[nodiscard]] const std::shared_ptr<const detail::EmbeddingData>& impl() const noexcept { return data_; }

 private:
  std::shared_ptr<const detail::EmbeddingData> data_;
};

}  // namespace medsam
