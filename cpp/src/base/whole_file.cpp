// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "base/whole_file.hpp"

#include <atomic>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/random_name.hpp"
#include "platform/path.hpp"
#include "platform/process.hpp"

namespace medsam {

namespace fs = std::filesystem;

namespace {

constexpr int kAttempts = 100;             // names that are taken
constexpr std::size_t kLongestStem = 200;  // bytes; names may have 255

void check(const std::error_code& error) {
  if (error) throw std::system_error(error);
}

// A name that a killed process, or somebody else, left behind is passed over.
platform::File create_for_cache(const std::string& target, std::string& path) {
  static std::atomic<unsigned> counter{0};
  std::error_code error;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    path = target + ".tmp-" + std::to_string(platform::process_id()) + "-" + std::to_string(counter.fetch_add(1));
    if (platform::File file = platform::open_file(path, platform::Opening::create_own, error)) return file;
    if (error != std::errc::file_exists) break;
  }
  throw std::system_error(error);
}

platform::File create_for_output(const std::string& target, std::string& path) {
  const fs::path whole = platform::path_of(target);
  const std::string stem = "." + platform::name_of(whole.filename()).substr(0, kLongestStem) + ".";
  std::error_code error;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    path = platform::name_of(whole.parent_path() / platform::path_of(stem + random_name() + kTemporarySuffix));
    platform::File file = platform::open_file(path, platform::Opening::create, error);
    if (!file) {
      if (error == std::errc::file_exists) continue;
      throw std::system_error(error);
    }
    const bool taken = platform::try_lock(file) == platform::Lock::elsewhere;
    // Between the two calls a sweep may have found the file without a lock, and removed it.
    const platform::FileStatus status = platform::status_of(file, error);
    if (!taken && !error && status.names > 0) return file;
    [[maybe_unused]] const std::error_code ignored =
        platform::remove_file(path);  // if it stays, the next sweep does it
  }
  throw std::system_error(std::make_error_code(std::errc::device_or_resource_busy));
}

}  // namespace

WholeFile::WholeFile(std::string target, FileUse use) : target_(std::move(target)), use_(use) {
  file_ = use == FileUse::cache ? create_for_cache(target_, path_) : create_for_output(target_, path_);
}

WholeFile::~WholeFile() {
  if (!committed_) {
    [[maybe_unused]] const std::error_code ignored = platform::remove_file(path_);  // likewise
  }
  file_.close();  // last: it gives up the lock
}

void WholeFile::write(std::string_view bytes) { check(platform::write_all(file_, bytes.data(), bytes.size())); }

void WholeFile::flush() const {
  // Before the rename, or a power cut could leave the name without the content. A file system without it says so.
  if (const std::error_code error = platform::flush(file_); error != std::errc::invalid_argument) check(error);
  // Without closing: until the file has its name, nobody may take it for abandoned.
  check(platform::check_close(file_));
}

void WholeFile::commit() {
  if (use_ == FileUse::output) {
    check(platform::take_mode_of(file_, target_));  // what its owner has made private stays so
    flush();
  } else {
    file_.close();
  }
  check(platform::rename_over(path_, target_));
  committed_ = true;
}

}  // namespace medsam
