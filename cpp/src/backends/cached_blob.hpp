// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Large entries of the cache folder that are used where they lie: one page with the digest of what follows, then the
// content. A file that is torn or damaged is found out before anybody parses it. The cache folder is the user's own
// (SECURITY.md), so that a mapping will do here.
#pragma once

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>

#include "base/cache_folder.hpp"
#include "base/own_files.hpp"
#include "platform/memory.hpp"

namespace medsam::backends {

/// The content of an entry; valid while this lives.
class CachedBlob {
 public:
  /// nullptr where there is no such entry, or a damaged one.
  static std::shared_ptr<const CachedBlob> read(const CacheFolder& cache, const std::string& entry);
  /// Keeps what `fill` writes; a failure is logged by the cache, not thrown.
  static void write(const CacheFolder& cache, const std::string& entry, const std::function<void(std::ostream&)>& fill);

  explicit CachedBlob(const OwnFile& file) : file_(file.file, static_cast<std::size_t>(file.size)) {}
  [[nodiscard]] std::string_view bytes() const;
  /// Takes the pages out of the process' memory; one that is read again comes back from the file.
  void release_pages() const { file_.release_pages(); }

 private:
  platform::MappedFile file_;
};

}  // namespace medsam::backends
