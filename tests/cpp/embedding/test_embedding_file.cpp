// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "embedding/embedding_codec.hpp"

#include <gtest/gtest.h>
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <memory>

#include "embedding/embedding_data.hpp"
#include "medsam/error.hpp"
#include "support/engine_test.hpp"
#include "support/raised.hpp"

namespace medsam {
namespace {

namespace fs = std::filesystem;

bool same(const ImageEmbedding& a, const ImageEmbedding& b) {
  return a.shape() == b.shape() && a.height() == b.height() && a.width() == b.width() &&
         a.fingerprint() == b.fingerprint() && std::equal(a.data(), a.data() + a.bytes() / 4, b.data());
}

class EmbeddingFile : public EngineTest {
 protected:
  EngineOptions half() const {
    EngineOptions options = options_;
    options.embedding_storage = EmbeddingStorage::f16;
    return options;
  }
  static float logit(const Engine& engine, const ImageEmbedding& embedding) {
    return engine.predict(embedding, {{Box{0, 0, 9, 9}, {}, nullptr}}).iou_predictions()[0];
  }
};

TEST_F(EmbeddingFile, ComesBackAsItWasAndIsUsable) {
  const Engine engine(bundle_, options_);
  const ImageEmbedding embedding = engine.encode(image());
  const std::string bytes = embedding.serialize();
  const ImageEmbedding back = ImageEmbedding::deserialize(bytes.data(), bytes.size());
  EXPECT_TRUE(same(embedding, back));
  EXPECT_EQ(logit(engine, back), logit(engine, embedding));
}

TEST_F(EmbeddingFile, HalfPrecisionIsRoundedOnceAndSavedExactly) {
  const Engine engine(bundle_, half());
  const ImageEmbedding embedding = engine.encode(image());
  const ImageEmbedding again = engine.encode(image());
  EXPECT_EQ(engine.cache_stats().hits, 1u);
  EXPECT_TRUE(same(embedding, again)) << "cached or not, the same values";
  EXPECT_EQ(engine.cache_stats().bytes, embedding.bytes() / 2);
  const std::string bytes = embedding.serialize();
  EXPECT_LT(bytes.size(), embedding.bytes() * 6 / 10 + 300);
  EXPECT_TRUE(same(ImageEmbedding::deserialize(bytes.data(), bytes.size()), embedding));

  const Engine full(bundle_, options_);
  const ImageEmbedding exact = full.encode(image());
  float worst = 0;
  for (std::size_t i = 0; i < exact.bytes() / 4; ++i) {
    worst =
        std::max(worst, std::abs(exact.data()[i] - embedding.data()[i]) / std::max(1e-3f, std::abs(exact.data()[i])));
  }
  EXPECT_GT(worst, 0) << "f16 must have rounded something, or this test tests nothing";
  EXPECT_LE(worst, 0x1p-11f);
  EXPECT_THROW(static_cast<void>(full.predict(embedding, {{Box{0, 0, 1, 1}, {}, nullptr}})), ModelError)
      << "another storage, another value";
}

TEST_F(EmbeddingFile, EveryDamagedByteAndEveryLengthIsRefused) {
  const Engine engine(bundle_, options_);
  const std::string bytes = engine.encode(image()).serialize();
  for (std::size_t size = 0; size < bytes.size(); size += size < 300 ? 1 : 97) {
    EXPECT_THROW(ImageEmbedding::deserialize(bytes.data(), size), ModelError) << size;
  }
  for (std::size_t at = 0; at < bytes.size(); at += at < 300 ? 1 : 97) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    EXPECT_THROW(ImageEmbedding::deserialize(damaged.data(), damaged.size()), ModelError) << at;
  }
  EXPECT_THROW(static_cast<void>(ImageEmbedding().serialize()), InvalidArgument);
}

// A file whose digest is right but whose content lies: what an attacker or another program would write.
std::string resigned(std::string bytes, std::size_t at, std::int64_t value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
  XXH128_canonical_t digest;
  XXH128_canonicalFromHash(&digest, XXH3_128bits(bytes.data(), bytes.size() - sizeof digest));
  std::memcpy(bytes.data() + bytes.size() - sizeof digest, &digest, sizeof digest);
  return bytes;
}

TEST_F(EmbeddingFile, AForgedGeometryIsRefusedWhereItIsUsed) {
  const Engine engine(bundle_, options_);
  const std::string bytes = engine.encode(image()).serialize();
  constexpr std::size_t kHeight = 16, kNewWidth = 48;
  for (const std::size_t at : {kHeight, kNewWidth}) {
    const std::string forged = resigned(bytes, at, 100000);
    const ImageEmbedding embedding = ImageEmbedding::deserialize(forged.data(), forged.size());
    EXPECT_THROW(static_cast<void>(engine.predict(embedding, {{Box{0, 0, 1, 1}, {}, nullptr}})), ModelError) << at;
  }
}

TEST_F(EmbeddingFile, AForgedShapeAllocatesNothing) {
  const Engine engine(bundle_, options_);
  const std::string bytes = engine.encode(image()).serialize();
  constexpr std::size_t kFirstDimension = 16 + 40 + 32 + 64 + 4 + 4 + 4 + 4;
  for (const std::int64_t d : {std::int64_t{1} << 62, std::int64_t{1} << 40, std::int64_t{0}, std::int64_t{-1}}) {
    const std::string forged = resigned(bytes, kFirstDimension, d);
    EXPECT_THROW(ImageEmbedding::deserialize(forged.data(), forged.size()), ModelError) << d;
  }
  constexpr std::size_t kModalityAndChannels = 16 + 40 + 32 + 64;
  for (const std::int64_t channels : {1, 2, 3}) {
    const std::string forged = resigned(bytes, kModalityAndChannels, (channels << 32) | 0xffffffff);
    EXPECT_THROW(ImageEmbedding::deserialize(forged.data(), forged.size()), ModelError) << channels;
  }
}

TEST_F(EmbeddingFile, AStoreServesTheNextEngine) {
  EngineOptions options = options_;
  options.embedding_store = folder_.path("store");
  ImageEmbedding first;
  {
    const Engine engine(bundle_, options);
    first = engine.encode(image());
    EXPECT_EQ(engine.cache_stats().store_hits, 0u);
  }
  const Engine next(bundle_, options);
  EXPECT_TRUE(same(next.encode(image()), first));
  EXPECT_EQ(next.cache_stats().store_hits, 1u);

  // A damaged file is a miss, and is replaced.
  for (const auto& entry : fs::directory_iterator(folder_.path("store")))
    testing::write_file(entry.path().string(), "damaged");
  const Engine third(bundle_, options);
  EXPECT_TRUE(same(third.encode(image()), first));
  EXPECT_EQ(third.cache_stats().store_hits, 0u);
  const Engine fourth(bundle_, options);
  EXPECT_TRUE(same(fourth.encode(image()), first));
  EXPECT_EQ(fourth.cache_stats().store_hits, 1u);
}

TEST_F(EmbeddingFile, AStoreStaysWithinItsBudget) {
  EngineOptions options = options_;
  options.embedding_store = folder_.path("store");
  options.embedding_store_bytes = 4000;  // three files of about 1.2 kB
  const Engine engine(bundle_, options);
  for (int i = 0; i < 8; ++i) {
    const ImageView view_in = image();
    pixels_[0] = static_cast<std::uint8_t>(i);
    static_cast<void>(engine.encode(view_in));
  }
  std::uint64_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(folder_.path("store"))) bytes += entry.file_size();
  EXPECT_LE(bytes, 4000u);
  EXPECT_GT(bytes, 2000u);
}

TEST(F16Tensor, HoldsNothingBeyondItsRangeAndIsNotForUse) {
  auto data = std::make_shared<detail::EmbeddingData>();
  auto tensor = std::make_shared<backends::HostTensor>(backends::Shape{1, 2});
  tensor->mutable_host()[0] = 1;
  tensor->mutable_host()[1] = 70000;
  data->outputs = {tensor};
  data->fingerprint = std::string(64, '0');
  const ImageEmbedding embedding{std::shared_ptr<const detail::EmbeddingData>(data)};
  EXPECT_NE(testing::raised<BackendError>([&] { static_cast<void>(compacted(embedding)); }).find("65504"),
            std::string::npos);
  EXPECT_THROW(static_cast<void>(F16Tensor(backends::Shape{1, 2}).host()), BackendError);
}

TEST(EmbeddingCodec, RefusesAnotherVersion) {
  auto data = std::make_shared<detail::EmbeddingData>();
  auto tensor = std::make_shared<backends::HostTensor>(backends::Shape{1});
  tensor->mutable_host()[0] = 1;
  data->outputs = {tensor};
  data->fingerprint = std::string(64, '0');
  std::string bytes = write_embedding(ImageEmbedding{std::shared_ptr<const detail::EmbeddingData>(data)});
  bytes[8] = 9;
  bytes.resize(bytes.size() - 16);
  XXH128_canonical_t digest;
  XXH128_canonicalFromHash(&digest, XXH3_128bits(bytes.data(), bytes.size()));
  bytes.append(reinterpret_cast<const char*>(digest.digest), sizeof digest.digest);
  EXPECT_NE(testing::raised<ModelError>([&] { read_embedding(bytes.data(), bytes.size()); }).find("format version 9"),
            std::string::npos);
}

}  // namespace
}  // namespace medsam
