// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "embedding/embedding_store.hpp"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "embedding/embedding_codec.hpp"
#include "medsam/error.hpp"
#include "platform/file.hpp"
#include "platform/path.hpp"

namespace medsam {

namespace fs = std::filesystem;

namespace {

const char* const kSuffix = ".embedding";
const char* const kStoreMagic = "MEDSAMS1";

}  // namespace

EmbeddingStore::EmbeddingStore(const std::string& folder, std::uint64_t budget, CacheFolder::Log log)
    : folder_(folder.empty() ? "none" : folder, std::move(log)), budget_(budget) {}

// A file of the store is these bytes, the digest of fingerprint, layout and pixels, and the embedding.
std::optional<ImageEmbedding> EmbeddingStore::load(const std::string& digest, std::uint64_t plausible) const {
  const std::string head = kStoreMagic + digest;
  const auto content = folder_.read(digest + kSuffix, head.size() + plausible);
  if (!content || !content->starts_with(head)) return std::nullopt;
  try {
    return read_embedding(content->data() + head.size(), content->size() - head.size());
  } catch (const ModelError&) {
    return std::nullopt;  // damaged: the caller encodes again and overwrites it
  }
}

void EmbeddingStore::save(const std::string& digest, const ImageEmbedding& embedding) const {
  if (!folder_.usable()) return;
  std::string content = kStoreMagic + digest;
  content += write_embedding(embedding);
  if (content.size() > budget_) return;
  folder_.write(digest + kSuffix, content);
  prune();
}

void EmbeddingStore::prune() const {
  struct File {
    fs::file_time_type time;
    std::uint64_t bytes;
    std::string name;
  };
  std::vector<File> files;
  std::uint64_t total = 0;
  std::error_code error;
  for (fs::directory_iterator it(platform::disk_path(folder_.path("")), error), end; !error && it != end;
       it.increment(error)) {
    std::error_code gone;  // another process may prune at the same time
    if (!it->is_regular_file(gone) || it->is_symlink(gone)) continue;
    const auto bytes = it->file_size(gone);
    const auto time = it->last_write_time(gone);
    if (gone || it->path().extension() != kSuffix) continue;
    files.push_back({time, bytes, platform::name_of(it->path())});
    total += bytes;
  }
  std::sort(files.begin(), files.end(), [](const File& a, const File& b) { return a.time < b.time; });
  for (const File& file : files) {
    if (total <= budget_) break;
    [[maybe_unused]] const std::error_code ignored = platform::remove_file(file.name);  // likewise
    total -= file.bytes;
  }
}

}  // namespace medsam
