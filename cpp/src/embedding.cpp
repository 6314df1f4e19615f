// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "medsam/embedding.hpp"

#include "embedding_data.hpp"
#include "medsam/error.hpp"

namespace medsam {

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
  return bytes;
}

}  // namespace medsam
