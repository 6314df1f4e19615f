// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "base/own_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

namespace medsam {

namespace fs = std::filesystem;

namespace {

std::string reason(int error) { return std::generic_category().message(error); }

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this != &other) {
    close();
    number_ = std::exchange(other.number_, -1);
  }
  return *this;
}

void Descriptor::close() {
  if (number_ >= 0) ::close(std::exchange(number_, -1));
}

OwnFile open_own_file(const std::string& path, std::uint64_t limit) {
  OwnFile file;
  // O_NONBLOCK: opening a FIFO would wait for a writer.
  Descriptor descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!descriptor) {
    if (errno == ELOOP) file.fault = "got a link, expected a regular file";
    if (errno == ENXIO) file.fault = "got a socket or a device, expected a regular file";
    return file;  // not there, or not readable: as if it were not
  }
  struct stat status = {};
  if (::fstat(descriptor.number(), &status) != 0 || !S_ISREG(status.st_mode)) {
    file.fault = "got something that is no regular file, expected one";
  } else if (status.st_uid != ::geteuid()) {
    file.fault = "got a file of user " + std::to_string(status.st_uid) + ", expected one of your own";
  } else if (static_cast<std::uint64_t>(status.st_size) > limit) {
    file.fault = "got " + std::to_string(status.st_size) + " bytes, expected at most " + std::to_string(limit);
  } else {
    file.size = static_cast<std::uint64_t>(status.st_size);
    file.descriptor = std::move(descriptor);
  }
  return file;
}

bool read_own_file(const OwnFile& file, std::string& content) {
  content.resize(static_cast<std::size_t>(file.size));
  for (std::size_t at = 0; at < content.size();) {
    const ::ssize_t got = ::read(file.descriptor.number(), content.data() + at, content.size() - at);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += static_cast<std::size_t>(got);
  }
  return true;
}

Descriptor create_own_file(const std::string& path) {
  return Descriptor(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR));
}

bool write_all(const Descriptor& file, const void* data, std::size_t size) {
  constexpr std::size_t kMost = std::size_t{1} << 30;  // one call writes less than 2 GiB on Linux
  for (const auto* at = static_cast<const char*>(data); size > 0;) {
    const ::ssize_t written = ::write(file.number(), at, std::min(size, kMost));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    at += written;
    size -= static_cast<std::size_t>(written);
  }
  return true;
}

std::string fault_of_own_folder(const std::string& path) {
  std::error_code error;
  if (const fs::path parent = fs::path(path).parent_path(); !parent.empty()) fs::create_directories(parent, error);
  if (error) return "cannot be written (" + error.message() + ")";
  if (::mkdir(path.c_str(), S_IRWXU) != 0 && errno != EEXIST) return "cannot be written (" + reason(errno) + ")";
  struct stat status = {};
  if (::stat(path.c_str(), &status) != 0) return "cannot be read (" + reason(errno) + ")";
  if (!S_ISDIR(status.st_mode)) return "is no folder";
  if (status.st_uid != ::geteuid()) return "belongs to user " + std::to_string(status.st_uid) + ", not to you";
  const bool private_group = status.st_gid == ::getegid() && status.st_gid == ::geteuid();
  if ((status.st_mode & S_IWOTH) != 0 || ((status.st_mode & S_IWGRP) != 0 && !private_group)) {
    return "can be written by other users; run `chmod go-w` on it";
  }
  if (::access(path.c_str(), R_OK | W_OK | X_OK) != 0) return "cannot be written (" + reason(errno) + ")";
  return "";
}

}  // namespace medsam
