// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "embedding/embedding_codec.hpp"

#include <xxhash.h>

#include <bit>
#include <cstring>
#include <utility>
#include <vector>

#include "embedding/embedding_data.hpp"
#include "image/views.hpp"
#include "medsam/error.hpp"

namespace medsam {

using backends::HostTensor;
using backends::Shape;
using detail::EmbeddingData;
using detail::KeptImage;
using detail::Pixels;

static_assert(std::endian::native == std::endian::little, "the file format is little-endian");

namespace {

constexpr char kMagic[9] = "MEDSAMEB";
/// What is written without and with a copy of the image; both are read.
constexpr std::uint32_t kVersion = 2, kVersionWithImage = 3;
constexpr std::size_t kDigestBytes = 16, kFingerprintBytes = 64;
constexpr std::uint32_t kMaxTensors = 64, kMaxRank = 8;

class Writer {
 public:
  template <class T>
  void value(const T& v) {
    bytes(&v, sizeof v);
  }
  void bytes(const void* data, std::size_t size) { out_.append(static_cast<const char*>(data), size); }
  std::string finish() {
    XXH128_canonical_t digest;
    XXH128_canonicalFromHash(&digest, XXH3_128bits(out_.data(), out_.size()));
    bytes(digest.digest, kDigestBytes);
    return std::move(out_);
  }

 private:
  std::string out_;
};

class Reader {
 public:
  Reader(const void* data, std::size_t size) : data_(static_cast<const char*>(data)), left_(size) {}
  template <class T>
  T value() {
    T v;
    std::memcpy(&v, take(sizeof v), sizeof v);
    return v;
  }
  /// A size that is computed in 64 bits, also where an address has 32.
  const char* take(std::uint64_t size) {
    if (size > left_) refuse();
    const char* at = data_;
    data_ += static_cast<std::size_t>(size);
    left_ -= static_cast<std::size_t>(size);
    return at;
  }
  [[nodiscard]] std::size_t left() const { return left_; }
  [[noreturn]] static void refuse() {
    throw ModelError("embedding: the bytes are damaged or no saved embedding; encode the image again");
  }

 private:
  const char* data_;
  std::size_t left_;
};

void write_tensor(Writer& writer, const backends::Tensor& tensor) {
  writer.value(static_cast<std::uint32_t>(tensor.shape().size()));
  for (const std::int64_t d : tensor.shape()) writer.value(d);
  if (const auto* f16 = dynamic_cast<const F16Tensor*>(&tensor)) {
    writer.bytes(f16->values().data(), static_cast<std::size_t>(f16->bytes()));
  } else {
    writer.bytes(tensor.host(), static_cast<std::size_t>(tensor.bytes()));
  }
}

backends::TensorPtr read_tensor(Reader& reader, EmbeddingStorage storage) {
  const auto rank = reader.value<std::uint32_t>();
  if (rank == 0 || rank > kMaxRank) Reader::refuse();
  Shape shape;
  std::size_t count = 1;
  for (std::uint32_t i = 0; i < rank; ++i) {
    shape.push_back(reader.value<std::int64_t>());
    // Each factor keeps the count below the bytes there are, so nothing overflows or is allocated in vain.
    if (shape.back() < 1 || static_cast<std::uint64_t>(shape.back()) > reader.left() / count) Reader::refuse();
    count *= static_cast<std::size_t>(shape.back());
  }
  if (storage == EmbeddingStorage::f16) {
    const char* values = reader.take(std::uint64_t{count} * sizeof(std::uint16_t));
    auto tensor = std::make_shared<F16Tensor>(std::move(shape));
    std::memcpy(tensor->mutable_values().data(), values, count * sizeof(std::uint16_t));
    return tensor;
  }
  const char* values = reader.take(std::uint64_t{count} * sizeof(float));
  auto tensor = std::make_shared<HostTensor>(std::move(shape));
  std::memcpy(tensor->mutable_host(), values, count * sizeof(float));
  return tensor;
}

std::shared_ptr<const Pixels> read_pixels(Reader& reader, const ImageGeometry& g) {
  const auto channels = reader.value<std::uint32_t>();
  if (channels == 0) return nullptr;
  const std::size_t left = reader.left();
  if (channels != 1 && channels != 3) Reader::refuse();
  if (g.height < 1 || static_cast<std::uint64_t>(g.height) > left) Reader::refuse();
  const std::size_t row_limit = left / static_cast<std::size_t>(g.height);
  if (g.width < 1 || static_cast<std::uint64_t>(g.width) > row_limit / channels) Reader::refuse();
  auto pixels = std::make_shared<Pixels>();
  pixels->height = g.height;
  pixels->width = g.width;
  pixels->channels = static_cast<int>(channels);
  const std::size_t size = static_cast<std::size_t>(g.height * g.width) * channels;
  const char* values = reader.take(size);
  pixels->values.assign(values, values + size);
  return pixels;
}

std::shared_ptr<const KeptImage> read_image(Reader& reader, const ImageGeometry& g) {
  const auto type = reader.value<std::uint32_t>(), channels = reader.value<std::uint32_t>();
  if (type > static_cast<std::uint32_t>(PixelType::f32) || (channels != 1 && channels != 3)) Reader::refuse();
  auto image = std::make_shared<KeptImage>();
  image->type = static_cast<PixelType>(type);
  image->height = g.height;
  image->width = g.width;
  image->channels = static_cast<int>(channels);
  // No overflow: sides are at most kMaxSide, 2^20.
  const auto size = static_cast<std::uint64_t>(g.height * g.width * image->channels * sample_bytes(image->type));
  const char* values = reader.take(size);
  image->bytes.assign(values, values + static_cast<std::size_t>(size));
  return image;
}

void check_digest(const void* data, std::size_t size) {
  if (size < sizeof kMagic - 1 + kDigestBytes) Reader::refuse();
  XXH128_canonical_t digest;
  XXH128_canonicalFromHash(&digest, XXH3_128bits(data, size - kDigestBytes));
  if (std::memcmp(digest.digest, static_cast<const char*>(data) + size - kDigestBytes, kDigestBytes) != 0) {
    Reader::refuse();
  }
}

}  // namespace

std::string write_embedding(const ImageEmbedding& embedding) {
  const EmbeddingData& full = *embedding.impl();
  const bool compact =
      full.storage == EmbeddingStorage::f16 && dynamic_cast<const F16Tensor*>(full.outputs.at(0).get()) == nullptr;
  const ImageEmbedding stored = compact ? compacted(embedding) : embedding;
  const EmbeddingData& data = *stored.impl();
  const ImageGeometry& g = data.geometry;
  Writer writer;
  writer.bytes(kMagic, sizeof kMagic - 1);
  writer.value(data.image ? kVersionWithImage : kVersion);
  writer.value(static_cast<std::uint32_t>(data.storage));
  for (const std::int64_t v : {g.height, g.width, g.input_size, g.new_height, g.new_width}) writer.value(v);
  for (const double v : {g.prompt_frame, g.prompt_scale_x, g.prompt_scale_y, g.point_shift}) writer.value(v);
  writer.bytes(data.fingerprint.data(), kFingerprintBytes);
  writer.value(data.modality);
  writer.value(static_cast<std::uint32_t>(data.pixels ? data.pixels->channels : 0));
  if (data.pixels) writer.bytes(data.pixels->values.data(), data.pixels->values.size());
  if (data.image) {
    writer.value(static_cast<std::uint32_t>(data.image->type));
    writer.value(static_cast<std::uint32_t>(data.image->channels));
    writer.bytes(data.image->bytes.data(), data.image->bytes.size());
  }
  writer.value(static_cast<std::uint32_t>(data.outputs.size()));
  for (const auto& output : data.outputs) write_tensor(writer, *output);
  return writer.finish();
}

ImageEmbedding read_embedding(const void* bytes, std::size_t size) {
  check_digest(bytes, size);
  Reader reader(bytes, size - kDigestBytes);
  if (std::memcmp(reader.take(sizeof kMagic - 1), kMagic, sizeof kMagic - 1) != 0) Reader::refuse();
  const auto version = reader.value<std::uint32_t>();
  if (version != kVersion && version != kVersionWithImage) {
    throw ModelError("embedding: got format version " + std::to_string(version) + ", this version understands " +
                     std::to_string(kVersion) + " and " + std::to_string(kVersionWithImage) +
                     "; encode the image again");
  }
  auto data = std::make_shared<EmbeddingData>();
  const auto storage = reader.value<std::uint32_t>();
  if (storage > 1) Reader::refuse();
  data->storage = static_cast<EmbeddingStorage>(storage);
  ImageGeometry& g = data->geometry;
  for (std::int64_t* v : {&g.height, &g.width, &g.input_size, &g.new_height, &g.new_width}) {
    *v = reader.value<std::int64_t>();
    if (*v < 1 || *v > kMaxSide) Reader::refuse();  // hosts make room by height()
  }
  for (double* v : {&g.prompt_frame, &g.prompt_scale_x, &g.prompt_scale_y, &g.point_shift}) {
    *v = reader.value<double>();
  }
  data->fingerprint.assign(reader.take(kFingerprintBytes), kFingerprintBytes);
  data->modality = reader.value<std::int32_t>();
  data->pixels = read_pixels(reader, g);
  if (version == kVersionWithImage && data->pixels) Reader::refuse();  // nobody writes the image twice
  if (version == kVersionWithImage) data->image = read_image(reader, g);
  const auto tensors = reader.value<std::uint32_t>();
  if (tensors == 0 || tensors > kMaxTensors) Reader::refuse();
  for (std::uint32_t i = 0; i < tensors; ++i) data->outputs.push_back(read_tensor(reader, data->storage));
  if (reader.left() != 0) Reader::refuse();
  return ImageEmbedding(std::move(data));
}

}  // namespace medsam
