// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What an ImageEmbedding holds.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backends/backend.hpp"
#include "image/geometry.hpp"
#include "medsam/embedding.hpp"
#include "medsam/image.hpp"

namespace medsam {

/// A tensor kept in f16 (IEEE half precision). Every value is exactly what its f32 form holds.
class F16Tensor final : public backends::Tensor {
 public:
  explicit F16Tensor(backends::Shape shape);
  /// Not for use: expand() makes the f32 tensor. BackendError.
  [[nodiscard]] const float* host() const override;
  [[nodiscard]] std::uint64_t bytes() const override { return values_.size() * sizeof(std::uint16_t); }
  [[nodiscard]] const std::vector<std::uint16_t>& values() const { return values_; }
  [[nodiscard]] std::vector<std::uint16_t>& mutable_values() { return values_; }

 private:
  std::vector<std::uint16_t> values_;
};

namespace detail {

/// A u8 image, rows dense, channels interleaved.
struct Pixels {
  std::int64_t height = 0, width = 0;
  int channels = 1;
  std::vector<std::uint8_t> values;
};

/// A copy of an image of any type, rows dense, channels interleaved.
struct KeptImage {
  PixelType type = PixelType::u8;
  std::int64_t height = 0, width = 0;
  int channels = 1;
  std::vector<std::uint8_t> bytes;
};
/// A copy of a checked view.
std::shared_ptr<const KeptImage> keep_image(const ImageView& image);

struct EmbeddingData {
  ImageGeometry geometry;
  std::vector<backends::TensorPtr> outputs;  // the encoder's, in the manifest's order; [0] is the image embedding
  std::shared_ptr<const Pixels> pixels;      // where a decoder looks at crops, else nullptr
  std::shared_ptr<const KeptImage> image;    // where windows may be cut out and `pixels` has none, else nullptr
  std::int32_t modality = -1;                // the decoder's index of the image's modality; -1 where it does not ask
  std::string fingerprint;
  EmbeddingStorage storage = EmbeddingStorage::f32;

  /// The image, where a copy of it is kept. Valid while this is.
  [[nodiscard]] std::optional<ImageView> image_view() const;
};

}  // namespace detail

/// The embedding with its tensors in f16. BackendError when a value does not fit (|x| > 65504).
ImageEmbedding compacted(const ImageEmbedding& embedding);

/// The embedding with its tensors in f32; itself when they are.
ImageEmbedding expanded(const ImageEmbedding& embedding);

}  // namespace medsam
