// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "embedding/image_key.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>

#include "base/sha256.hpp"
#include "kernels/pixels/pixel_kernels.hpp"
#include "medsam/error.hpp"
#include "platform/random.hpp"

namespace medsam {

namespace {

std::atomic<bool> all_collide{false};

// NOLINTNEXTLINE(modernize-type-traits): GCC's 128 bit integer is no standard type
__extension__ using u128 = unsigned __int128;

constexpr u128 kPrime = (u128{1} << 127) - 1;

u128 reduced(u128 value) {
  value = (value & kPrime) + (value >> 127);
  return value >= kPrime ? value - kPrime : value;
}

u128 product(u128 a, u128 b) {
  const auto a0 = static_cast<std::uint64_t>(a), a1 = static_cast<std::uint64_t>(a >> 64);
  const auto b0 = static_cast<std::uint64_t>(b), b1 = static_cast<std::uint64_t>(b >> 64);
  // a, b < 2^127, so the sum of the two middle products stays below 2^128.
  const u128 middle = u128{a0} * b1 + u128{a1} * b0;
  const u128 lowest = u128{a0} * b0, low = lowest + (middle << 64);
  const u128 high = u128{a1} * b1 + (middle >> 64) + (low < lowest ? 1 : 0);
  return reduced(reduced(low) + ((high << 1) & kPrime) + (high >> 126));  // 2^128 = 2 modulo the prime
}

struct Secret {
  kernels::BlockSumKey blocks{};
  u128 point = 0;

  Secret() {
    draw(&blocks, sizeof blocks);
    draw(&point, sizeof point);
    point = reduced(point & kPrime);
  }

 private:
  static void draw(void* to, std::size_t bytes) {
    if (platform::random_bytes(to, bytes)) return;
    throw BackendError("embedding cache: the system gives no random numbers (getentropy); check its sandbox");
  }
};

// Blocks of pixels become four sums each (kernels::KernelTable::block_sums), and these the coefficients of a polynomial
// modulo 2^127 - 1 at a secret point (T. Krovetz, W. Dai, "VHASH security", IACR ePrint 2007/338, section 2): n bytes
// of equal layout collide with a probability of at most 2^-128 + (4 n / 4096) / 2^127, 2^-106 for a GiB.
class KeyedHash {
 public:
  explicit KeyedHash(const Secret& secret) : secret_(secret), sums_(kernels::table().block_sums) {}

  void update(const char* data, std::size_t size) {
    if (held_ > 0) {
      const std::size_t taken = std::min(size, kBlock - held_);
      std::memcpy(block_.data() + held_, data, taken);
      held_ += taken;
      data += taken;
      size -= taken;
      if (held_ < kBlock) return;
      add(block_.data());
      held_ = 0;
    }
    for (; size >= kBlock; data += kBlock, size -= kBlock) add(data);
    if (size == 0) return;
    std::memcpy(block_.data(), data, size);
    held_ = size;
  }

  u128 finish() {
    if (held_ > 0) {
      std::memset(block_.data() + held_, 0, kBlock - held_);  // the length is part of the key: layout
      add(block_.data());
    }
    return value_;
  }

 private:
  static constexpr std::size_t kBlock = kernels::kSumBlockBytes;

  void add(const char* block) {
    std::uint64_t sums[kernels::kBlockSums];
    sums_(secret_.blocks, block, sums);
    for (const std::uint64_t sum : sums) value_ = reduced(product(value_, secret_.point) + sum);
  }

  const Secret& secret_;
  void (*sums_)(const kernels::BlockSumKey&, const void*, std::uint64_t*) noexcept;
  u128 value_ = 0;
  std::size_t held_ = 0;
  std::array<char, kBlock> block_{};
};

template <class Hash>
void add_pixels(const CheckedImage& image, Hash& hash) {
  const std::int64_t row = image->width * image->channels * sample_bytes(image->type);
  const auto* pixels = static_cast<const char*>(image->data);
  const bool dense = image->row_stride == row;
  const std::int64_t rows = dense ? 1 : image->height;
  const std::int64_t bytes = dense ? row * image->height : row;
  for (std::int64_t y = 0; y < rows; ++y) {
    hash.update(pixels + y * image->row_stride, static_cast<std::size_t>(bytes));
  }
}

}  // namespace

void let_all_images_collide(bool collide) { all_collide = collide; }

ImageKey image_key(const CheckedImage& image, const std::string& fingerprint) {
  if (all_collide) return {};
  static const Secret kSecret;
  KeyedHash hash(kSecret);
  add_pixels(image, hash);
  const u128 value = hash.finish();
  return {image->height,
          image->width,
          image->channels,
          image->type,
          fingerprint,
          static_cast<std::uint64_t>(value >> 64),
          static_cast<std::uint64_t>(value)};
}

std::string image_digest(const CheckedImage& image, const std::string& fingerprint) {
  Sha256 sha;
  if (all_collide) return sha.hex();
  const std::int64_t layout[] = {image->height, image->width, image->channels, static_cast<std::int64_t>(image->type),
                                 static_cast<std::int64_t>(fingerprint.size())};
  sha.update(reinterpret_cast<const char*>(layout), sizeof layout);
  sha.update(fingerprint.data(), fingerprint.size());
  add_pixels(image, sha);
  return sha.hex();
}

}  // namespace medsam
