// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Where things that can be made again are kept between runs: compiled models, verification stamps, embeddings.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/own_files.hpp"

namespace medsam {

class WholeFile;

/// A folder that may be absent or unusable: then nothing is stored and every read misses. It is this user's alone: one
/// that belongs to somebody else, or that others may write to, is not used; folders are made with mode 0700, files with
/// 0600, links are not followed. Writes are atomic (a temporary file, renamed), so a killed process leaves no half
/// entry. Safe to use from many threads and processes.
class CacheFolder {
 public:
  using Log = std::function<void(const std::string&)>;
  static constexpr std::uint64_t kSmall = std::uint64_t{1} << 20;

  /// `wanted` as EngineOptions::cache_dir. A folder that cannot be used is reported once to `log`.
  CacheFolder(const std::string& wanted, Log log);

  [[nodiscard]] bool usable() const { return !root_.empty(); }
  /// Full path of an entry, e.g. path("models/abc.blob"); "" when the folder is not usable.
  [[nodiscard]] std::string path(const std::string& entry) const;
  /// An entry of at most `limit` bytes, open to be read. What is there and is no regular file of this user, or is
  /// larger, is reported to the log and passed over.
  [[nodiscard]] OwnFile open(const std::string& entry, std::uint64_t limit) const;
  /// Its content, or nothing.
  [[nodiscard]] std::optional<std::string> read(const std::string& entry, std::uint64_t limit = kSmall) const;
  /// Writes an entry through `fill`, which gets the path of an empty temporary file; failure is logged, not thrown.
  void write(const std::string& entry, const std::function<void(const std::string& path)>& fill) const;
  /// The same, of an entry's whole content.
  void write(const std::string& entry, const std::string& content) const;

 private:
  void write_through(const std::string& entry, const std::function<void(WholeFile&)>& fill) const;

  std::string root_;
  Log log_;
};

}  // namespace medsam
