// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "base/cache_folder.hpp"

#include <filesystem>
#include <stdexcept>

#include "base/whole_file.hpp"
#include "platform/path.hpp"

namespace medsam {

namespace fs = std::filesystem;

namespace {

std::string resolve(const std::string& wanted) {
  if (!wanted.empty()) return wanted;
  if (const std::string set = platform::environment("MEDSAM_ENGINE_CACHE"); !set.empty()) return set;
  const std::string folder = platform::user_cache_folder();
  return folder.empty() ? "none" : folder + "/medsam-engine";
}

}  // namespace

CacheFolder::CacheFolder(const std::string& wanted, Log log) : root_(resolve(wanted)), log_(std::move(log)) {
  if (root_ == "none") {
    root_.clear();
    return;
  }
  while (root_.size() > 1 && root_.back() == '/') root_.pop_back();
  const std::string fault = fault_of_own_folder(root_);
  if (fault.empty()) return;
  if (log_) log_("cache folder " + root_ + " " + fault + "; nothing is kept in it between runs");
  root_.clear();
}

std::string CacheFolder::path(const std::string& entry) const { return usable() ? root_ + "/" + entry : ""; }

OwnFile CacheFolder::open(const std::string& entry, std::uint64_t limit) const {
  if (!usable()) return {};
  OwnFile file = open_own_file(path(entry), limit);
  if (!file.fault.empty() && log_) log_("cache entry " + path(entry) + " is not used: " + file.fault + "; remove it");
  return file;
}

std::optional<std::string> CacheFolder::read(const std::string& entry, std::uint64_t limit) const {
  const OwnFile file = open(entry, limit);
  std::string content;
  if (!file.file || !read_own_file(file, content)) return std::nullopt;
  return content;
}

void CacheFolder::write_through(const std::string& entry, const std::function<void(WholeFile&)>& fill) const {
  if (!usable()) return;
  const std::string target = path(entry);
  try {
    if (const fs::path below = platform::path_of(entry).parent_path(); !below.empty()) {
      if (const std::string fault = fault_of_own_folder(path(platform::name_of(below))); !fault.empty()) {
        throw std::runtime_error("its folder " + fault);
      }
    }
    WholeFile file(target, FileUse::cache);
    fill(file);
    file.commit();
  } catch (const std::exception& e) {
    if (log_) log_("cache entry " + target + " could not be written (" + e.what() + "); going on without it");
  }
}

void CacheFolder::write(const std::string& entry, const std::function<void(const std::string&)>& fill) const {
  write_through(entry, [&](WholeFile& file) { fill(file.path()); });
}

void CacheFolder::write(const std::string& entry, const std::string& content) const {
  write_through(entry, [&](WholeFile& file) { file.write(content); });
}

}  // namespace medsam
