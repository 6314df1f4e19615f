// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "platform/folder.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#ifdef __linux__
#include <sys/vfs.h>
#endif

namespace medsam::platform {

namespace {

std::error_code last_error() { return {errno, std::generic_category()}; }

std::string reason() { return last_error().message(); }

}  // namespace

std::error_code make_folders(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  return error;
}

std::error_code make_own_folder(const std::string& path) {
  return ::mkdir(path.c_str(), S_IRWXU) != 0 && errno != EEXIST ? last_error() : std::error_code();
}

std::string fault_of_folder(const std::string& path) {
  struct stat status = {};
  if (::stat(path.c_str(), &status) != 0) return "cannot be read (" + reason() + ")";
  if (!S_ISDIR(status.st_mode)) return "is no folder";
  if (status.st_uid != ::geteuid()) return "belongs to user " + std::to_string(status.st_uid) + ", not to you";
  const bool private_group = status.st_gid == ::getegid() && status.st_gid == ::geteuid();
  if ((status.st_mode & S_IWOTH) != 0 || ((status.st_mode & S_IWGRP) != 0 && !private_group)) {
    return "can be written by other users; run `chmod go-w` on it";
  }
  return is_usable_folder(path) ? "" : "cannot be written (" + reason() + ")";
}

bool is_usable_folder(const std::string& path) { return ::access(path.c_str(), R_OK | W_OK | X_OK) == 0; }

std::string make_temporary_folder(std::error_code& error) {
  std::string name = (std::filesystem::temp_directory_path(error) / "medsam-engine-XXXXXX").string();
  if (!error && ::mkdtemp(name.data()) == nullptr) error = last_error();
  return error ? "" : name;
}

bool is_on_local_disk([[maybe_unused]] const std::string& path) {
#ifdef __linux__
  // ext2 to 4, XFS, Btrfs, tmpfs, ramfs, overlayfs, ZFS, F2FS, bcachefs (statfs(2), linux/magic.h).
  constexpr std::array<unsigned long, 9> kLocal = {0xef53,     0x58465342, 0x9123683e, 0x01021994, 0x858458f6,
                                                   0x794c7630, 0x2fc12fc1, 0xf2f52010, 0xca451a4e};
  struct statfs status {};
  if (::statfs(path.c_str(), &status) != 0) return false;
  const auto type = static_cast<unsigned long>(status.f_type) & 0xffffffffUL;
  return std::find(kLocal.begin(), kLocal.end(), type) != kLocal.end();
#else
  return false;
#endif
}

}  // namespace medsam::platform
