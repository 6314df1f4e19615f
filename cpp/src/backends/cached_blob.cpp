// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "backends/cached_blob.hpp"

#include <xxhash.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <stdexcept>

#include "platform/path.hpp"

namespace medsam::backends {

namespace {

constexpr std::uint64_t kLargestBlob = std::uint64_t{1} << 36;  // SAM's ViT-H is 2.5 GB
constexpr std::size_t kHeaderBytes = 4096;                      // a page, so that the content is aligned as it may wish
constexpr std::size_t kDigestBytes = 32;

std::string digest(std::string_view content) {
  const XXH128_hash_t hash = XXH3_128bits(content.data(), content.size());
  std::array<char, kDigestBytes + 1> text{};
  std::snprintf(text.data(), text.size(), "%016llx%016llx", static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  return text.data();
}

}  // namespace

std::string_view CachedBlob::bytes() const { return {file_.data() + kHeaderBytes, file_.size() - kHeaderBytes}; }

std::shared_ptr<const CachedBlob> CachedBlob::read(const CacheFolder& cache, const std::string& entry) {
  const OwnFile file = cache.open(entry, kLargestBlob);
  if (!file.file || file.size <= kHeaderBytes) return nullptr;
  try {
    auto blob = std::make_shared<const CachedBlob>(file);
    const std::string_view said(blob->file_.data(), kDigestBytes);
    return said == digest(blob->bytes()) ? blob : nullptr;
  } catch (const std::runtime_error&) {
    return nullptr;  // cannot be mapped; what it was made from gives the same
  }
}

void CachedBlob::write(const CacheFolder& cache, const std::string& entry,
                       const std::function<void(std::ostream&)>& fill) {
  cache.write(entry, [&](const std::string& path) {
    std::fstream file(platform::disk_path(path), std::ios::binary | std::ios::in | std::ios::out | std::ios::trunc);
    file << std::string(kHeaderBytes, '\0');
    fill(file);
    file.flush();
    if (!file) throw std::runtime_error("disk full?");
    const CachedBlob written(open_own_file(path, kLargestBlob));
    file.seekp(0);
    file << digest(written.bytes());
    file.close();
    if (!file) throw std::runtime_error("disk full?");
  });
}

}  // namespace medsam::backends
