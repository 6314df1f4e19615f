// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// An engine's embeddings: made, taken from the cache or the store, and checked to be of the image and the model at
// hand.
#include <algorithm>

#include "engine/engine_impl.hpp"
#include "medsam/error.hpp"

namespace medsam {

using backends::Shape;

namespace {

// The same image under another modality is the same embedding with another index.
ImageEmbedding with_modality(const ImageEmbedding& embedding, std::int32_t index) {
  if (embedding.impl()->modality == index) return embedding;
  auto data = std::make_shared<detail::EmbeddingData>(*embedding.impl());
  data->modality = index;
  return ImageEmbedding(std::move(data));
}

}  // namespace

bool Engine::Impl::plausible(const detail::EmbeddingData& data, const std::string& expert) const {
  const ImageGeometry& g = data.geometry;
  const std::vector<TensorSpec>& specs = bundle.model("encoder", expert).outputs;
  bool sane = g.height >= 1 && g.width >= 1 && data.outputs.size() == specs.size() &&
              g == bundle_geometry(bundle, g.height, g.width) && bundle.needs_crops() == (data.pixels != nullptr) &&
              (data.pixels == nullptr || (data.pixels->height == g.height && data.pixels->width == g.width)) &&
              (data.image == nullptr || (data.image->height == g.height && data.image->width == g.width));
  for (std::size_t i = 0; sane && i < specs.size(); ++i) {
    Shape shape = specs[i].shape;
    shape[0] = 1;
    sane = data.outputs[i]->shape() == shape;
  }
  return sane;
}

bool Engine::Impl::made_of(const ImageEmbedding& embedding, const CheckedImage& image,
                           const std::string& expert) const {
  const detail::EmbeddingData& data = *embedding.impl();
  return data.geometry.height == image->height && data.geometry.width == image->width &&
         data.fingerprint == fingerprints_.at(expert) && data.storage == options.embedding_storage &&
         (data.pixels == nullptr || data.pixels->channels == image->channels) && plausible(data, expert);
}

std::uint64_t Engine::Impl::largest_file(const CheckedImage& image, const std::string& expert) const {
  std::uint64_t bytes = 4096;  // names, sizes and digests
  for (const TensorSpec& spec : bundle.model("encoder", expert).outputs) {
    Shape shape = spec.shape;
    shape[0] = 1;
    bytes += static_cast<std::uint64_t>(backends::element_count(shape)) * sizeof(float);
  }
  if (bundle.needs_crops()) bytes += static_cast<std::uint64_t>(image->height * image->width * image->channels);
  return bytes;
}

Engine::Impl::Checked Engine::Impl::checked(const ImageEmbedding& embedding) const {
  if (!embedding.valid()) {
    throw InvalidArgument("embedding: got an empty ImageEmbedding, expected one made by Engine::encode");
  }
  const auto maker = std::find_if(fingerprints_.begin(), fingerprints_.end(),
                                  [&](const auto& entry) { return entry.second == embedding.fingerprint(); });
  if (maker == fingerprints_.end()) {
    throw ModelError("embedding: made by another model or precision (fingerprint " +
                     embedding.fingerprint().substr(0, 12) + "...), expected " +
                     fingerprints_.begin()->second.substr(0, 12) + "...; encode the image with this engine");
  }
  // A saved embedding is a file anyone may have edited: trust nothing that a mask's geometry follows from.
  const detail::EmbeddingData& data = *embedding.impl();
  const auto& index = bundle.modality.index;
  const bool known = index.empty() ? data.modality == -1
                                   : std::any_of(index.begin(), index.end(),
                                                 [&](const auto& entry) { return entry.second == data.modality; });
  if (!known || !plausible(data, maker->first)) {
    throw ModelError("embedding: its geometry or shape is not this model's; encode the image again");
  }
  return {data, models_->get(maker->first), maker->first};
}

ImageEmbedding Engine::Impl::encode(const CheckedImage& image, const std::string& modality) const {
  return encode(image, route_of(modality), EmbeddingCache::Keep::evicting);
}

ImageEmbedding Engine::Impl::encode_with_pixels(const CheckedImage& image, const std::string& modality) const {
  ImageEmbedding embedding = encode(image, modality);
  if (!profile.zoom) return embedding;
  // The cache and the store have none: what they hold is shared by images of volumes and by windows.
  auto data = std::make_shared<detail::EmbeddingData>(*embedding.impl());
  data->image = data->pixels ? nullptr : detail::keep_image(*image);
  return ImageEmbedding(std::move(data));
}

ImageEmbedding Engine::Impl::encode_anew(const CheckedImage& image, const std::string& expert) const {
  const std::shared_ptr<detail::EmbeddingData> data = models_->get(expert)->encode(image);
  data->storage = options.embedding_storage;
  const ImageEmbedding embedding(data);
  return options.embedding_storage == EmbeddingStorage::f16 ? compacted(embedding) : embedding;
}

ImageEmbedding Engine::Impl::encode(const CheckedImage& image, const Route& route, EmbeddingCache::Keep keep) const {
  const std::string& fingerprint = fingerprints_.at(route.expert);
  const auto make = [&] {
    if (!store.usable()) return encode_anew(image, route.expert);
    const std::string digest = image_digest(image, fingerprint);
    const auto stored = store.load(digest, largest_file(image, route.expert));
    if (stored && made_of(*stored, image, route.expert)) {
      store_hits.fetch_add(1);
      return *stored;
    }
    ImageEmbedding embedding = encode_anew(image, route.expert);
    store.save(digest, embedding);
    return embedding;
  };
  ImageEmbedding embedding = embeddings.get(image_key(image, fingerprint), make, keep);
  // Everything that follows writes as many pixels as the embedding says that the image has.
  if (!made_of(embedding, image, route.expert)) embedding = encode_anew(image, route.expert);
  return with_modality(expanded(embedding), route.index);
}

}  // namespace medsam
