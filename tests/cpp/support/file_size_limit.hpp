// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#pragma once

#include <csignal>
#include <cstdint>

#ifndef _WIN32
#include <sys/resource.h>
#endif

namespace medsam::testing {

/// A limit on the size of files, as a full disk, for as long as it lives. There is none where kPosix is false.
class FileSizeLimit {
 public:
#ifdef _WIN32
  explicit FileSizeLimit(std::uint64_t) {}
#else
  explicit FileSizeLimit(std::uint64_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const ::rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
#endif
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

#ifndef _WIN32
 private:
  ::rlimit before_{};
  void (*handler_)(int);
#endif
};

}  // namespace medsam::testing
