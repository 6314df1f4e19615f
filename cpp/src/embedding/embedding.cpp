// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "medsam/embedding.hpp"

#include <cstring>

#include "base/edge.hpp"
#include "base/finite.hpp"
#include "embedding/embedding_codec.hpp"
#include "embedding/embedding_data.hpp"
#include "image/views.hpp"
#include "kernels/pixels/pixel_kernels.hpp"
#include "medsam/error.hpp"

namespace medsam {

using backends::HostTensor;

namespace {

const detail::EmbeddingData& checked(const std::shared_ptr<const detail::EmbeddingData>& data) {
  if (!data) throw InvalidArgument("embedding: got an empty ImageEmbedding, expected one made by Engine::encode");
  return *data;
}

}  // namespace

ImageEmbedding::ImageEmbedding(std::shared_ptr<const detail::EmbeddingData> data) : data_(std::move(data)) {}

std::int64_t ImageEmbedding::height() const { return checked(data_).geometry.height; }
std::int64_t ImageEmbedding::width() const { return checked(data_).geometry.width; }
std::vector<std::int64_t> ImageEmbedding::shape() const { return checked(data_).outputs.at(0)->shape(); }
const float* ImageEmbedding::data() const { return checked(data_).outputs.at(0)->host(); }
const std::string& ImageEmbedding::fingerprint() const { return checked(data_).fingerprint; }

std::uint64_t ImageEmbedding::bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& output : checked(data_).outputs) bytes += output->bytes();
  if (data_->pixels) bytes += data_->pixels->values.size();
  if (data_->image) bytes += data_->image->bytes.size();
  return bytes;
}

std::string ImageEmbedding::serialize() const {
  return at_edge("serialize", [&] {
    checked(data_);
    return write_embedding(*this);
  });
}

ImageEmbedding ImageEmbedding::deserialize(const void* data, std::size_t size) {
  return at_edge("deserialize", [&] { return expanded(read_embedding(data, size)); });
}

namespace detail {

std::shared_ptr<const KeptImage> keep_image(const ImageView& image) {
  auto kept = std::make_shared<KeptImage>();
  kept->type = image.type;
  kept->height = image.height;
  kept->width = image.width;
  kept->channels = image.channels;
  const auto row = static_cast<std::size_t>(image.width * image.channels * sample_bytes(image.type));
  kept->bytes.resize(row * static_cast<std::size_t>(image.height));
  for (std::int64_t y = 0; y < image.height; ++y) {
    std::memcpy(kept->bytes.data() + static_cast<std::size_t>(y) * row,
                static_cast<const char*>(image.data) + y * image.row_stride, row);
  }
  return kept;
}

std::optional<ImageView> EmbeddingData::image_view() const {
  if (image) {
    return ImageView{image->bytes.data(), image->type,     image->height,
                     image->width,        image->channels, image->width * image->channels * sample_bytes(image->type)};
  }
  if (!pixels) return std::nullopt;
  return ImageView{pixels->values.data(), PixelType::u8,    pixels->height,
                   pixels->width,         pixels->channels, pixels->width * pixels->channels};
}

}  // namespace detail

F16Tensor::F16Tensor(backends::Shape shape) : Tensor(std::move(shape)) {
  values_.resize(static_cast<std::size_t>(backends::element_count(this->shape())));
}

const float* F16Tensor::host() const { throw BackendError("embedding: an f16 tensor was used unexpanded"); }

ImageEmbedding compacted(const ImageEmbedding& embedding) {
  auto data = std::make_shared<detail::EmbeddingData>(*embedding.impl());
  for (auto& output : data->outputs) {
    auto f16 = std::make_shared<F16Tensor>(output->shape());
    const std::int64_t count = backends::element_count(output->shape());
    if (!kernels::table().to_f16(output->host(), f16->mutable_values().data(), count)) {
      throw BackendError("embedding: a value is beyond f16's range of 65504; use embedding storage f32");
    }
    output = std::move(f16);
  }
  return ImageEmbedding(std::move(data));
}

ImageEmbedding expanded(const ImageEmbedding& embedding) {
  if (dynamic_cast<const F16Tensor*>(embedding.impl()->outputs.at(0).get()) == nullptr) return embedding;
  auto data = std::make_shared<detail::EmbeddingData>(*embedding.impl());
  for (auto& output : data->outputs) {
    const auto& f16 = dynamic_cast<const F16Tensor&>(*output);
    auto full = std::make_shared<HostTensor>(f16.shape());
    kernels::table().from_f16(f16.values().data(), full->mutable_host(),
                              static_cast<std::int64_t>(f16.values().size()));
    output = std::move(full);
  }
  return ImageEmbedding(std::move(data));
}

}  // namespace medsam
