// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What an embedding is of: names for an image and a model that no image can be made to share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "image/views.hpp"

namespace medsam {

/// Names an image's embedding while the process lives. Layout and fingerprint are compared as they are; the pixels by a
/// hash under a secret that is drawn once per process and never leaves it (image_key.cpp), so two images that were
/// chosen without the secret share a key with a probability below 2^-100.
struct ImageKey {
  std::int64_t height = 0, width = 0, channels = 0;
  PixelType type = PixelType::u8;
  std::string fingerprint;
  std::uint64_t high = 0, low = 0;
  bool operator==(const ImageKey&) const = default;

  struct Hash {
    std::size_t operator()(const ImageKey& key) const { return static_cast<std::size_t>(key.low); }
  };
};

/// The key of an image under the fingerprint of model and rules. Row padding takes no part: the same pixels give
/// the same key at any stride. BackendError where the system has no random numbers.
ImageKey image_key(const CheckedImage& image, const std::string& fingerprint);

/// Names an image's embedding between runs: SHA-256 over fingerprint, layout and pixels, 64 hex digits; strides
/// as for image_key.
std::string image_digest(const CheckedImage& image, const std::string& fingerprint);

/// For tests alone: while set, every image has the same key and the same digest, so that what stands behind them can be
/// seen to hold.
void let_all_images_collide(bool collide);

}  // namespace medsam
