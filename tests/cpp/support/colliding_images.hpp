// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Two images of other content, and where asked of other size and type, that XXH3-128 under its public secret does not
// tell apart: what version 0.1 named embeddings by. One call of it adds to eight sums, for each word d of 64 bits in
// lane i, d to sum i ^ 1 and the product of the halves of d ^ secret to sum i (xxHash 0.8.1, XXH3_scalarRound): a word
// with one half equal to the secret's adds what one likes to one sum and nothing to the other.
#pragma once

#include <xxhash.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "medsam/image.hpp"

namespace medsam::testing {

class CollidingImages {
 public:
  using Layout = std::array<std::int64_t, 4>;  // height, width, channels, type

  /// Images of `bytes` bytes each, at least 928: made ones in four stripes, zeros elsewhere. They differ also where
  /// the layouts do not.
  CollidingImages(const Layout& a, const Layout& b, std::size_t bytes, const std::string& fingerprint)
      : first_(bytes, 0), second_(bytes, 0) {
    const Sums wanted = sums_of(a), got = sums_of(b);
    for (std::size_t lane = 0; lane < 8; ++lane) {
      const std::uint64_t missing = wanted[lane ^ 1] - got[lane ^ 1];
      put(first_, 2, lane, secret(2, lane) & 0xffffffff);
      put(first_, 3, lane, secret(3, lane) >> 32 << 32);
      put(second_, 2, lane, (secret(2, lane) & 0xffffffff) + (missing >> 32 << 32));
      put(second_, 3, lane, (secret(3, lane) >> 32 << 32) + (missing & 0xffffffff));
    }
    // What one word adds in the first image, another adds in the second.
    constexpr std::uint64_t kDifference = std::uint64_t{200} << 32;
    put(first_, 4, 0, (secret(4, 0) & 0xffffffff) + kDifference);
    put(first_, 15, 0, secret(15, 0) & 0xffffffff);
    put(second_, 4, 0, secret(4, 0) & 0xffffffff);
    put(second_, 15, 0, (secret(15, 0) & 0xffffffff) + kDifference);
    collide_ = hash(a, fingerprint, first_) == hash(b, fingerprint, second_);
  }

  /// Whether the attack works at all.
  [[nodiscard]] bool collide() const { return collide_; }
  [[nodiscard]] const std::vector<std::uint8_t>& first() const { return first_; }
  [[nodiscard]] const std::vector<std::uint8_t>& second() const { return second_; }

 private:
  using Sums = std::array<std::uint64_t, 8>;
  static constexpr std::size_t kBefore = 96;  // the layout and the fingerprint, hashed before the pixels

  static std::uint64_t secret(std::size_t stripe, std::size_t lane) {
    std::uint64_t word = 0;
    std::memcpy(&word, XXH3_kSecret + 8 * (stripe + lane), sizeof word);
    return word;
  }
  static Sums sums_of(const Layout& layout) {
    Sums sums{};
    for (std::size_t lane = 0; lane < layout.size(); ++lane) {
      const auto word = static_cast<std::uint64_t>(layout[lane]);
      const std::uint64_t keyed = word ^ secret(0, lane);
      sums[lane] += (keyed & 0xffffffff) * (keyed >> 32);
      sums[lane ^ 1] += word;
    }
    return sums;
  }
  static void put(std::vector<std::uint8_t>& pixels, std::size_t stripe, std::size_t lane, std::uint64_t word) {
    std::memcpy(pixels.data() + 64 * stripe + 8 * lane - kBefore, &word, sizeof word);
  }
  static std::string hash(const Layout& layout, const std::string& fingerprint,
                          const std::vector<std::uint8_t>& pixels) {
    std::string text(reinterpret_cast<const char*>(layout.data()), sizeof layout);
    text += fingerprint;
    text.append(pixels.begin(), pixels.end());
    XXH128_canonical_t digest;
    XXH128_canonicalFromHash(&digest, XXH3_128bits(text.data(), text.size()));
    return {reinterpret_cast<const char*>(digest.digest), sizeof digest.digest};
  }

  std::vector<std::uint8_t> first_, second_;
  bool collide_ = false;
};

}  // namespace medsam::testing
