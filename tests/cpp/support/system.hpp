// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What tests do to their own process and to files, where the systems differ. What a system does not have is a reason to
// skip a test.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <system_error>

#ifndef _WIN32
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

namespace medsam::testing {

#ifdef _WIN32
inline constexpr bool kPosix = false;
#else
inline constexpr bool kPosix = true;
#endif
/// Why a test is skipped where kPosix is false.
inline constexpr const char* kNoPosix = "what this test does is POSIX's";

inline void set_environment(const char* name, const std::string& value) {
#ifdef _WIN32
  ::_putenv_s(name, value.c_str());
#else
  ::setenv(name, value.c_str(), 1);
#endif
}

inline void unset_environment(const char* name) {
#ifdef _WIN32
  ::_putenv_s(name, "");
#else
  ::unsetenv(name);
#endif
}

/// False where there are no FIFOs in folders.
inline bool make_fifo([[maybe_unused]] const std::string& path) {
#ifdef _WIN32
  return false;
#else
  return ::mkfifo(path.c_str(), 0600) == 0;
#endif
}

/// False where this user may make no symbolic links, or where there are none (wine 8 says that it has made one).
inline bool make_link(const std::string& target, const std::string& path) {
  std::error_code error;
  std::filesystem::create_symlink(target, path, error);
  return !error && std::filesystem::is_symlink(path, error);
}

/// The permissions of what has that name; 0 where it has no such.
inline unsigned mode_of([[maybe_unused]] const std::string& path) {
#ifdef _WIN32
  return 0;
#else
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 0777U : 0;
#endif
}

/// What `act` returns in a child of a fork, which a call that waits forever ends; nothing where there is no fork.
inline std::optional<int> in_a_child([[maybe_unused]] const std::function<int()>& act) {
#ifdef _WIN32
  return std::nullopt;
#else
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(60);
    ::_exit(act());
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
#endif
}

}  // namespace medsam::testing
