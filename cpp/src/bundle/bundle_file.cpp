// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "bundle/bundle_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <vector>

#include "medsam/error.hpp"

namespace medsam {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kChunk = std::size_t{1} << 20;

std::string reason(int error) { return std::generic_category().message(error); }

std::string by_descriptor(const Descriptor& file) { return "/proc/self/fd/" + std::to_string(file.number()); }

// Where the file that `path` led to lies, by the kernel's own account of the open descriptor.
void check_inside(const Descriptor& found, const std::string& path) {
  std::error_code error;
  const fs::path real = fs::read_symlink(by_descriptor(found), error);
  if (error) throw ModelError(path + ": where it lies cannot be told without /proc; mount it");
  const fs::path root = fs::canonical(fs::path(path).parent_path(), error);
  const auto [end, unused] = std::mismatch(root.begin(), root.end(), real.begin(), real.end());
  if (error || end != root.end()) {
    throw ModelError(path + ": got a link to " + real.string() +
                     ", outside the bundle's folder; expected a file in it, copy it there");
  }
}

std::string text(const timespec& time) { return std::to_string(time.tv_sec) + "." + std::to_string(time.tv_nsec); }

std::string text(const struct stat& status) {
  return std::to_string(status.st_size) + " " + text(status.st_mtim) + " " + text(status.st_ctim) + " " +
         std::to_string(status.st_dev) + " " + std::to_string(status.st_ino);
}

}  // namespace

BundleFile::BundleFile(const std::string& path) : path_(fs::absolute(path).string()) {
  const Descriptor found(::open(path_.c_str(), O_PATH | O_CLOEXEC));
  if (!found && (errno == ENOENT || errno == ENOTDIR)) {
    throw ModelError(path + ": missing; the manifest names it, export or fetch the bundle again");
  }
  if (!found) throw ModelError(path + ": cannot be opened (" + reason(errno) + "); check its permissions");
  if (::fstat(found.number(), &status_) != 0) throw ModelError(path + ": cannot be read (" + reason(errno) + ")");
  check_inside(found, path_);
  if (!S_ISREG(status_.st_mode)) throw ModelError(path + ": got no regular file; fetch it again");
  file_ = Descriptor(::open(by_descriptor(found).c_str(), O_RDONLY | O_CLOEXEC));
  if (!file_) throw ModelError(path + ": cannot be read (" + reason(errno) + "); check its permissions");
}

void BundleFile::read(std::uint64_t bytes, const std::function<void(const char*, std::size_t)>& take) const {
  std::vector<char> chunk(static_cast<std::size_t>(std::min<std::uint64_t>(kChunk, bytes + 1)));
  std::uint64_t taken = 0;
  // By position, so that it may be read again; a byte too many is looked for, so that a longer file is noticed.
  while (taken <= bytes) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(chunk.size(), bytes + 1 - taken));
    const ::ssize_t got = ::pread(file_.number(), chunk.data(), wanted, static_cast<::off_t>(taken));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw ModelError(path_ + ": reading failed half-way (" + reason(errno) + "); check the disk");
    if (got == 0) break;
    taken += static_cast<std::uint64_t>(got);
    if (taken <= bytes) take(chunk.data(), static_cast<std::size_t>(got));
  }
  if (taken == bytes) return;
  throw ModelError(path_ + ": got " + (taken < bytes ? std::to_string(taken) : "more than " + std::to_string(bytes)) +
                   " bytes, expected " + std::to_string(bytes) +
                   "; the file is damaged, export or fetch the bundle again");
}

std::string BundleFile::stamp() const {
  struct stat now {};
  if (::fstat(file_.number(), &now) != 0 || text(now) != text(status_)) return "";
  return path_ + "\n" + text(now);
}

}  // namespace medsam
