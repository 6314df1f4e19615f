// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "embedding/image_key.hpp"

#include <gtest/gtest.h>

#include <set>
#include <utility>
#include <vector>

namespace medsam {
namespace {

using Value = std::pair<std::uint64_t, std::uint64_t>;
Value value(const ImageKey& key) { return {key.high, key.low}; }

class ImageKeyTest : public ::testing::Test {
 protected:
  std::vector<std::uint8_t> pixels_ = std::vector<std::uint8_t>(24 * 16, 7);
  ImageView view_{pixels_.data(), PixelType::u8, 16, 20, 1, 24};
  ImageKey base_ = image_key(view_, "model");
  std::string digest_ = image_digest(view_, "model");
};

TEST_F(ImageKeyTest, IsOfThePixelsNotOfTheirPlaceInMemory) {
  std::vector<std::uint8_t> dense(20 * 16, 7);
  EXPECT_EQ(image_key(ImageView{dense.data(), PixelType::u8, 16, 20, 1, 20}, "model"), base_);
  EXPECT_EQ(image_digest(ImageView{dense.data(), PixelType::u8, 16, 20, 1, 20}, "model"), digest_);
  pixels_[21] = 99;  // row padding
  EXPECT_EQ(image_key(view_, "model"), base_);
  EXPECT_EQ(image_digest(view_, "model"), digest_);
  // From the last row to the first: the padding lies before the rows, and the rows are equal.
  const ImageView backward{pixels_.data() + 15 * 24, PixelType::u8, 16, 20, 1, -24};
  EXPECT_EQ(image_key(backward, "model"), base_);
}

TEST_F(ImageKeyTest, ChangesWithEveryThingThatChangesTheEmbedding) {
  EXPECT_FALSE(image_key(view_, "other") == base_);
  EXPECT_NE(image_digest(view_, "other"), digest_);
  pixels_[15 * 24 + 19] = 8;
  EXPECT_FALSE(image_key(view_, "model") == base_) << "one pixel";
  EXPECT_NE(image_digest(view_, "model"), digest_) << "one pixel";
  pixels_[15 * 24 + 19] = 7;
  std::vector<std::uint8_t> dense(20 * 16, 7);
  for (const ImageView& view : {ImageView{dense.data(), PixelType::u8, 20, 16, 1, 16},
                                ImageView{dense.data(), PixelType::u16, 16, 10, 1, 20}}) {
    EXPECT_FALSE(image_key(view, "model") == base_);
    EXPECT_NE(image_digest(view, "model"), digest_);
  }
  EXPECT_EQ(digest_.size(), 64u);
}

TEST_F(ImageKeyTest, EveryByteOfEveryBlockCounts) {
  // Two blocks and a part of one; a pixel at each end of each.
  std::vector<std::uint8_t> pixels(2 * 4096 + 1000, 1);
  const ImageView view{pixels.data(),
                       PixelType::u8,
                       1,
                       static_cast<std::int64_t>(pixels.size()),
                       1,
                       static_cast<std::int64_t>(pixels.size())};
  std::set<Value> seen{value(image_key(view, ""))};
  for (const std::size_t at : {std::size_t{0}, std::size_t{3}, std::size_t{4095}, std::size_t{4096}, std::size_t{8191},
                               std::size_t{8192}, pixels.size() - 1}) {
    pixels[at] ^= 128;
    EXPECT_TRUE(seen.insert(value(image_key(view, ""))).second) << at;
    pixels[at] ^= 128;
  }
  // Blocks that change places.
  std::fill(pixels.begin(), pixels.begin() + 4096, std::uint8_t{2});
  EXPECT_TRUE(seen.insert(value(image_key(view, ""))).second);
  std::fill(pixels.begin(), pixels.begin() + 4096, std::uint8_t{1});
  std::fill(pixels.begin() + 4096, pixels.begin() + 8192, std::uint8_t{2});
  EXPECT_TRUE(seen.insert(value(image_key(view, ""))).second);
}

TEST_F(ImageKeyTest, RowsOfAnyLengthAreHashedAsOne) {
  for (const std::int64_t width : {1, 17, 4095, 4096, 4097, 5000}) {
    const std::int64_t height = 5, stride = width + 3;
    std::vector<std::uint8_t> padded(static_cast<std::size_t>(height * stride));
    std::vector<std::uint8_t> dense;
    for (std::int64_t y = 0; y < height; ++y) {
      for (std::int64_t x = 0; x < width; ++x) {
        const auto v = static_cast<std::uint8_t>(x * 31 + y * 7);
        padded[static_cast<std::size_t>(y * stride + x)] = v;
        dense.push_back(v);
      }
    }
    EXPECT_EQ(image_key(ImageView{padded.data(), PixelType::u8, height, width, 1, stride}, "m"),
              image_key(ImageView{dense.data(), PixelType::u8, height, width, 1, width}, "m"))
        << width;
  }
}

}  // namespace
}  // namespace medsam
