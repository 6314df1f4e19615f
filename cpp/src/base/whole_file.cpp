// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "base/whole_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/random_name.hpp"

namespace medsam {

namespace fs = std::filesystem;

namespace {

constexpr int kAttempts = 100;             // names that are taken
constexpr std::size_t kLongestStem = 200;  // bytes; names may have 255

[[noreturn]] void fail() { throw std::system_error(errno, std::generic_category()); }

// A name that a killed process, or somebody else, left behind is passed over.
Descriptor create_for_cache(const std::string& target, std::string& path) {
  static std::atomic<unsigned> counter{0};
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    path = target + ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(counter.fetch_add(1));
    if (Descriptor file = create_own_file(path)) return file;
    if (errno != EEXIST) break;
  }
  fail();
}

Descriptor create_for_output(const std::string& target, std::string& path) {
  const fs::path folder = fs::path(target).parent_path();
  const std::string stem = "." + fs::path(target).filename().string().substr(0, kLongestStem) + ".";
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    path = folder / (stem + random_name() + kTemporarySuffix);
    Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (!file) {
      if (errno == EEXIST) continue;
      fail();
    }
    const bool taken = ::flock(file.number(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    struct stat status {};
    // Between the two calls a sweep may have found the file without a lock, and removed it.
    if (!taken && ::fstat(file.number(), &status) == 0 && status.st_nlink > 0) return file;
    ::unlink(path.c_str());
  }
  errno = EBUSY;
  fail();
}

}  // namespace

WholeFile::WholeFile(std::string target, FileUse use) : target_(std::move(target)), use_(use) {
  file_ = use == FileUse::cache ? create_for_cache(target_, path_) : create_for_output(target_, path_);
}

WholeFile::~WholeFile() {
  if (!committed_) ::unlink(path_.c_str());
  file_.close();  // last: it gives up the lock
}

void WholeFile::write(std::string_view bytes) {
  if (!write_all(file_, bytes.data(), bytes.size())) fail();
}

/// A file that is replaced keeps its mode: what its owner has made private stays so.
void WholeFile::keep_mode_of_target() const {
  struct stat status {};
  if (::stat(target_.c_str(), &status) != 0 || (status.st_mode & 0777) == 0666) return;
  if (::fchmod(file_.number(), status.st_mode & 0777) != 0 && errno != EPERM) fail();  // none on some file systems
}

void WholeFile::flush() const {
  // Before the rename, or a power cut could leave the name without the content. A file system without fsync says
  // EINVAL.
  if (::fsync(file_.number()) != 0 && errno != EINVAL) fail();
  // A network file system may say only at a close that the disk is full. Of a second descriptor, which shares the lock:
  // until the file has its name, nobody may take it for abandoned.
  const int second = ::dup(file_.number());
  if (second < 0 || ::close(second) != 0) fail();
}

void WholeFile::commit() {
  if (use_ == FileUse::output) {
    keep_mode_of_target();
    flush();
  } else {
    file_.close();
  }
  if (std::rename(path_.c_str(), target_.c_str()) != 0) fail();
  committed_ = true;
}

}  // namespace medsam
