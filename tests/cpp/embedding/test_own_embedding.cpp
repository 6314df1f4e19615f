// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// That an image is answered for by its own embedding: not by that of an image with the same hash, nor by a file that
// lies under its name in the store.
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <vector>

#include "embedding/image_key.hpp"
#include "medsam/volume.hpp"
#include "support/colliding_images.hpp"
#include "support/engine_test.hpp"
#include "support/system.hpp"

namespace medsam {
namespace {

namespace fs = std::filesystem;
using testing::CollidingImages;

struct CollideAll {
  CollideAll() { let_all_images_collide(true); }
  ~CollideAll() { let_all_images_collide(false); }
  CollideAll(const CollideAll&) = delete;
  CollideAll& operator=(const CollideAll&) = delete;
};

class OwnEmbedding : public EngineTest {
 protected:
  EngineOptions uncached() const {
    EngineOptions options = options_;
    options.cache_bytes = 0;
    return options;
  }
  EngineOptions stored() const {
    EngineOptions options = uncached();
    options.embedding_store = folder_.path("store");
    return options;
  }
  std::vector<fs::path> entries() const {
    std::vector<fs::path> paths;
    for (const auto& entry : fs::directory_iterator(folder_.path("store"))) paths.push_back(entry.path());
    return paths;
  }
  // The labels of a box over all of a slice of u16 pixels, between guards.
  static std::vector<std::uint8_t> volume_labels(const Engine& engine, const std::vector<std::uint8_t>& slice,
                                                 std::int64_t height, std::int64_t width) {
    constexpr std::size_t kGuard = 1 << 16;
    const auto size = static_cast<std::size_t>(height * width);
    std::vector<std::uint8_t> memory(size + 2 * kGuard, 77);
    const VolumeView volume{slice.data(), PixelType::u16, 1, height, width, 1, width * 2, height * width * 2};
    const LabelVolumeView out{memory.data() + kGuard, LabelType::u8, 1, height, width, width, height * width};
    const Box3D box{0, 0, 0, static_cast<double>(width - 1), static_cast<double>(height - 1), 0};
    engine.segment_volume(volume, {box}, out, {});
    for (std::size_t i = 0; i < kGuard; ++i) {
      EXPECT_EQ(memory[i], 77);
      EXPECT_EQ(memory[kGuard + size + i], 77);
      if (::testing::Test::HasFailure()) break;
    }
    return {memory.begin() + kGuard, memory.begin() + kGuard + static_cast<std::ptrdiff_t>(size)};
  }
  static std::vector<float> values(const Engine& engine, const ImageView& image) {
    const ImageEmbedding embedding = engine.encode(image);
    return {embedding.data(), embedding.data() + embedding.bytes() / sizeof(float)};
  }
};

TEST_F(OwnEmbedding, OfAVolumeWhoseSliceCollidesWithALargerImage) {
  const Engine engine(bundle_, options_), fresh(bundle_, uncached());
  const CollidingImages images({128, 128, 1, 0}, {64, 128, 1, 1}, 128 * 128, engine.info().fingerprint);
  ASSERT_TRUE(images.collide());
  static_cast<void>(engine.encode({images.first().data(), PixelType::u8, 128, 128, 1, 128}));
  EXPECT_EQ(volume_labels(engine, images.second(), 64, 128), volume_labels(fresh, images.second(), 64, 128));
}

TEST_F(OwnEmbedding, OfAnImageThatCollidesWithAnotherOfItsSize) {
  const Engine engine(bundle_, options_), fresh(bundle_, uncached());
  const CollidingImages::Layout layout{64, 64, 1, 0};
  const CollidingImages images(layout, layout, 64 * 64, engine.info().fingerprint);
  ASSERT_TRUE(images.collide());
  const ImageView first{images.first().data(), PixelType::u8, 64, 64, 1, 64};
  const ImageView second{images.second().data(), PixelType::u8, 64, 64, 1, 64};
  ASSERT_NE(values(fresh, first), values(fresh, second));
  static_cast<void>(engine.encode(first));
  EXPECT_EQ(values(engine, second), values(fresh, second));
}

TEST_F(OwnEmbedding, EvenWhereAllKeysCollide) {
  const CollideAll collide;
  const Engine engine(bundle_, options_), fresh(bundle_, uncached());
  std::vector<std::uint8_t> pixels(128 * 128 * 2);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i * 7);
  static_cast<void>(engine.encode({pixels.data(), PixelType::u8, 128, 128, 1, 128}));
  const std::vector<std::uint8_t> slice(pixels.begin(), pixels.begin() + 64 * 32 * 2);
  EXPECT_EQ(volume_labels(engine, slice, 32, 64), volume_labels(fresh, slice, 32, 64));
  const ImageView small{pixels.data(), PixelType::u8, 16, 20, 1, 20};
  EXPECT_EQ(engine.encode(small).height(), 16);
  EXPECT_EQ(values(engine, small), values(fresh, small));
}

TEST_F(OwnEmbedding, NotThatOfAFileCopiedToItsNameInTheStore) {
  std::vector<std::uint8_t> pixels(300 * 300);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i * 13);
  static_cast<void>(Engine(bundle_, stored()).encode({pixels.data(), PixelType::u8, 300, 300, 1, 300}));
  ASSERT_EQ(entries().size(), 1u);
  const fs::path large = entries()[0];
  const std::vector<std::uint8_t> slice(pixels.begin(), pixels.begin() + 40 * 40 * 2);
  static_cast<void>(Engine(bundle_, stored()).encode({slice.data(), PixelType::u16, 40, 40, 1, 80}));
  for (const fs::path& entry : entries()) {
    if (entry != large) fs::copy_file(large, entry, fs::copy_options::overwrite_existing);
  }
  const Engine fresh(bundle_, uncached());
  {
    const Engine engine(bundle_, stored());
    EXPECT_EQ(volume_labels(engine, slice, 40, 40), volume_labels(fresh, slice, 40, 40));
    EXPECT_EQ(engine.cache_stats().store_hits, 0u);
  }
  const Engine healed(bundle_, stored());
  EXPECT_EQ(volume_labels(healed, slice, 40, 40), volume_labels(fresh, slice, 40, 40));
  EXPECT_EQ(healed.cache_stats().store_hits, 1u) << "the wrong file has been replaced";
}

TEST_F(OwnEmbedding, AStoreWhereAllDigestsCollideIsCheckedAgainstTheImage) {
  const CollideAll collide;
  std::vector<std::uint8_t> pixels(300 * 300, 9);
  static_cast<void>(Engine(bundle_, stored()).encode({pixels.data(), PixelType::u8, 300, 300, 1, 300}));
  const Engine engine(bundle_, stored()), fresh(bundle_, uncached());
  const std::vector<std::uint8_t> slice(40 * 40 * 2, 5);
  EXPECT_EQ(volume_labels(engine, slice, 40, 40), volume_labels(fresh, slice, 40, 40));
  EXPECT_EQ(engine.cache_stats().store_hits, 0u);
}

TEST_F(OwnEmbedding, WhatIsNoFileOfTheStoreIsPassedOverAndReported) {
  if (!testing::kPosix) GTEST_SKIP() << testing::kNoPosix;
  static_cast<void>(Engine(bundle_, stored()).encode(image()));
  const fs::path entry = entries().at(0);
  const auto entry_replaced_by = [&](const auto& replace) {
    fs::remove(entry);
    replace();
    std::string logged;
    EngineOptions options = stored();
    options.log = [&](LogLevel, const std::string& text) { logged += text + "\n"; };
    const Engine engine(bundle_, options);
    EXPECT_EQ(values(engine, image()), values(Engine(bundle_, uncached()), image()));
    EXPECT_EQ(engine.cache_stats().store_hits, 0u);
    return logged;
  };
  const std::string fifo = entry_replaced_by([&] { ASSERT_TRUE(testing::make_fifo(entry.string())); });
  EXPECT_NE(fifo.find("no regular file"), std::string::npos) << fifo;
  const std::string link = entry_replaced_by([&] { fs::create_symlink("/dev/zero", entry); });
  EXPECT_NE(link.find("got a link"), std::string::npos) << link;
  const std::string large = entry_replaced_by([&] {
    testing::write_file(entry.string(), "MEDSAMS1");
    fs::resize_file(entry, std::uintmax_t{1} << 40);  // sparse
  });
  EXPECT_NE(large.find("expected at most"), std::string::npos) << large;
}

TEST_F(OwnEmbedding, TheStoreAndTheCacheAreTheUsersAlone) {
  if (!testing::kPosix) GTEST_SKIP() << testing::kNoPosix;
  static_cast<void>(Engine(bundle_, stored()).encode(image()));
  int files = 0;
  for (const char* folder : {"store", "cache"}) {
    EXPECT_EQ(fs::status(folder_.path(folder)).permissions(), fs::perms::owner_all) << folder;
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path(folder))) {
      const fs::perms expected =
          entry.is_directory() ? fs::perms::owner_all : fs::perms::owner_read | fs::perms::owner_write;
      EXPECT_EQ(entry.status().permissions(), expected) << entry.path();
      files += entry.is_regular_file() ? 1 : 0;
    }
  }
  EXPECT_GE(files, 2);
}

}  // namespace
}  // namespace medsam
