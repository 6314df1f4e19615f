// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "bundle/bundle_file.hpp"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <vector>

#include "medsam/error.hpp"
#include "platform/path.hpp"

namespace medsam {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kChunk = std::size_t{1} << 20;

// Where the file that `path` led to lies, by the system's own account of the open file. As texts: steps through a path
// ask for memory, and some libraries end the process where there is none.
void check_inside(const platform::File& found, const std::string& path) {
  std::error_code error;
  const std::string real = platform::real_path(found, error);
  if (error) {
    throw ModelError(path + ": where it lies cannot be told (" + error.message() +
                     "); on Linux that takes /proc, mount it");
  }
  std::string root = platform::name_of(platform::path_of(path).parent_path());
  root = platform::name_of(fs::canonical(platform::disk_path(root), error));
  constexpr char kSeparator = static_cast<char>(fs::path::preferred_separator);
  if (!root.ends_with(kSeparator)) root += kSeparator;
  if (error || !real.starts_with(root)) {
    throw ModelError(path + ": got a link to " + real +
                     ", outside the bundle's folder; expected a file in it, copy it there");
  }
}

}  // namespace

BundleFile::BundleFile(const std::string& path) : path_(platform::name_of(fs::absolute(platform::path_of(path)))) {
  std::error_code error;
  const platform::File found = platform::name_file(path_, error);
  if (error == std::errc::no_such_file_or_directory || error == std::errc::not_a_directory) {
    throw ModelError(path + ": missing; the manifest names it, export or fetch the bundle again");
  }
  if (!found) throw ModelError(path + ": cannot be opened (" + error.message() + "); check its permissions");
  const platform::FileStatus status = platform::status_of(found, error);
  if (error) throw ModelError(path + ": cannot be read (" + error.message() + ")");
  size_ = status.size;
  opened_ = platform::change_stamp(found);
  check_inside(found, path_);
  if (!status.regular) throw ModelError(path + ": got no regular file; fetch it again");
  file_ = platform::reopen_to_read(found, error);
  if (!file_) throw ModelError(path + ": cannot be read (" + error.message() + "); check its permissions");
}

void BundleFile::read(std::uint64_t bytes, const std::function<void(const char*, std::size_t)>& take) const {
  std::vector<char> chunk(static_cast<std::size_t>(std::min<std::uint64_t>(kChunk, bytes + 1)));
  std::uint64_t taken = 0;
  // By position, so that it may be read again; a byte too many is looked for, so that a longer file is noticed.
  while (taken <= bytes) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(chunk.size(), bytes + 1 - taken));
    std::error_code error;
    const std::size_t got = platform::read_at(file_, chunk.data(), wanted, taken, error);
    if (error) throw ModelError(path_ + ": reading failed half-way (" + error.message() + "); check the disk");
    taken += got;
    if (taken <= bytes && got > 0) take(chunk.data(), got);
    if (got < wanted) break;
  }
  if (taken == bytes) return;
  throw ModelError(path_ + ": got " + (taken < bytes ? std::to_string(taken) : "more than " + std::to_string(bytes)) +
                   " bytes, expected " + std::to_string(bytes) +
                   "; the file is damaged, export or fetch the bundle again");
}

std::string BundleFile::stamp() const {
  const std::string now = platform::change_stamp(file_);
  return now.empty() || now != opened_ ? "" : path_ + "\n" + now;
}

}  // namespace medsam
