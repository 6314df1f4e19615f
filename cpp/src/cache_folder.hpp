// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Where things that can be made again are kept between runs: compiled models and verification stamps.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace medsam {

/// A folder that may be absent or unwritable: then nothing is stored and every read misses. Writes are atomic (a
/// temporary file, renamed), so a killed process leaves no half entry. Safe to use from many threads and processes.
class CacheFolder {
 public:
  using Log = std::function<void(const std::string&)>;

  /// `wanted` as EngineOptions::cache_dir. A folder that cannot be made is reported once to `log`.
  CacheFolder(const std::string& wanted, Log log);

  [[nodiscard]] bool usable() const { return !root_.empty(); }
  /// Full path of an entry, e.g. path("models/abc.blob"); "" when the folder is not usable.
  [[nodiscard]] std::string path(const std::string& entry) const;
  /// The content of a small entry, or nothing.
  [[nodiscard]] std::optional<std::string> read(const std::string& entry) const;
  /// Writes an entry through `fill`, which gets the temporary file's path; failure is logged, not thrown.
  void write(const std::string& entry, const std::function<void(const std::string& path)>& fill) const;
  /// The same, of a small entry's whole content.
  void write(const std::string& entry, const std::string& content) const;

 private:
  std::string root_;
  Log log_;
};

}  // namespace medsam
