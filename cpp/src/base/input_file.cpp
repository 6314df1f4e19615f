// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "base/input_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "medsam/error.hpp"

namespace medsam {

namespace {

[[noreturn]] void unreadable(const std::string& what, const std::string& why) {
  throw InvalidArgument(what + ": cannot be read (" + why +
                        "), expected a readable file; check its permissions and the disk");
}

}  // namespace

// O_NONBLOCK: opening a named pipe must not wait for its writer.
InputFile::InputFile(const std::string& path, std::string what)
    : what_(std::move(what)), descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
  if (descriptor_ < 0) unreadable(what_, std::generic_category().message(errno));
  struct stat status = {};
  if (::fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor_);
    unreadable(what_, "no regular file");
  }
  size_ = static_cast<std::uint64_t>(status.st_size);
}

InputFile::~InputFile() { ::close(descriptor_); }

void InputFile::read(std::uint64_t offset, void* out, std::size_t count) const {
  constexpr std::size_t kMost = std::size_t{1} << 30;  // one call reads less than 2 GiB on Linux
  auto* to = static_cast<char*>(out);
  while (count > 0) {
    const ::ssize_t got = ::pread(descriptor_, to, std::min(count, kMost), static_cast<::off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) unreadable(what_, std::generic_category().message(errno));
    if (got == 0) unreadable(what_, "it ends early");
    to += got;
    offset += static_cast<std::uint64_t>(got);
    count -= static_cast<std::size_t>(got);
  }
}

}  // namespace medsam
