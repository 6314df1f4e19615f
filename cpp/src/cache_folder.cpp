// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "cache_folder.hpp"

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace medsam {

namespace fs = std::filesystem;

namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string resolve(const std::string& wanted) {
  if (!wanted.empty()) return wanted;
  if (const std::string set = environment("MEDSAM_ENGINE_CACHE"); !set.empty()) return set;
  if (const std::string xdg = environment("XDG_CACHE_HOME"); !xdg.empty()) return xdg + "/medsam-engine";
  if (const std::string home = environment("HOME"); !home.empty()) return home + "/.cache/medsam-engine";
  return "none";
}

}  // namespace

CacheFolder::CacheFolder(const std::string& wanted, Log log) : root_(resolve(wanted)), log_(std::move(log)) {
  if (root_ == "none") {
    root_.clear();
    return;
  }
  std::error_code error;
  fs::create_directories(root_, error);
  if (error || ::access(root_.c_str(), R_OK | W_OK | X_OK) != 0) {
    if (log_) log_("cache folder " + root_ + " cannot be written; compiled models are not kept between runs");
    root_.clear();
  }
}

std::string CacheFolder::path(const std::string& entry) const { return usable() ? root_ + "/" + entry : ""; }

std::optional<std::string> CacheFolder::read(const std::string& entry) const {
  if (!usable()) return std::nullopt;
  std::ifstream file(path(entry), std::ios::binary);
  if (!file) return std::nullopt;
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

void CacheFolder::write(const std::string& entry, const std::function<void(const std::string&)>& fill) const {
  if (!usable()) return;
  static std::atomic<unsigned> counter{0};
  const fs::path target = path(entry);
  const fs::path temporary =
      target.string() + ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(counter.fetch_add(1));
  std::error_code error;
  try {
    fs::create_directories(target.parent_path());
    fill(temporary.string());
    fs::rename(temporary, target);
  } catch (const std::exception& e) {
    fs::remove(temporary, error);
    if (log_) log_("cache entry " + target.string() + " could not be written (" + e.what() + "); going on without it");
  }
}

void CacheFolder::write(const std::string& entry, const std::string& content) const {
  write(entry, [&](const std::string& path) {
    std::ofstream file(path, std::ios::binary);
    file << content;
    file.close();
    if (!file) throw std::runtime_error("disk full?");
  });
}

}  // namespace medsam
