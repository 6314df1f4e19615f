// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A saved embedding, its digest made right so that what lies behind it is reached: reading raises ModelError or gives
// an embedding that an engine refuses or answers from without a fault.
#include <xxhash.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "finding.hpp"
#include "medsam/engine.hpp"
#include "support/tiny_bundle.hpp"

namespace {

using medsam::fuzz::expect;

const medsam::Engine& engine() {
  static const medsam::testing::TemporaryFolder temporary;
  static const medsam::Engine instance = [] {
    medsam::EngineOptions options;
    options.cache_dir = "none";
    options.profile = "clinical";  // asks the kept image for windows
    return medsam::Engine(medsam::testing::copy_bundle("tiny_bundle", temporary.path("bundle")), options);
  }();
  return instance;
}

void answer(const medsam::ImageEmbedding& embedding) {
  const std::int64_t height = embedding.height(), width = embedding.width();
  if (height * width > 1 << 16) return;
  std::vector<std::uint16_t> labels(static_cast<std::size_t>(height * width), 9);
  const medsam::LabelView out{labels.data(), medsam::LabelType::u16, height, width, width * 2};
  engine().segment(embedding, {{0, 0, static_cast<double>(width), static_cast<double>(height)}}, out);
  for (const std::uint16_t label : labels) expect(label <= 1);
  engine().segment(embedding, {{0, 0, static_cast<double>((width - 1) / 8), static_cast<double>((height - 1) / 8)}},
                   out);
  for (const std::uint16_t label : labels) expect(label <= 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Where the fingerprint would stand, the engine's own: no mutation finds 64 hex digits.
  std::string bytes(reinterpret_cast<const char*>(data), size);
  constexpr std::size_t kFingerprint = 8 + 4 + 4 + 5 * 8 + 4 * 8;
  const std::string& fingerprint = engine().info().fingerprint;
  if (size >= kFingerprint + fingerprint.size()) bytes.replace(kFingerprint, fingerprint.size(), fingerprint);
  XXH128_canonical_t digest;
  XXH128_canonicalFromHash(&digest, XXH3_128bits(bytes.data(), bytes.size()));
  bytes.append(reinterpret_cast<const char*>(digest.digest), sizeof digest.digest);
  try {
    const medsam::ImageEmbedding embedding = medsam::ImageEmbedding::deserialize(bytes.data(), bytes.size());
    expect(embedding.bytes() <= 4 * bytes.size());
    expect(medsam::ImageEmbedding::deserialize(embedding.serialize().data(), embedding.serialize().size()).valid());
    answer(embedding);
  } catch (const medsam::Error&) {
    return 0;
  }
  return 0;
}
