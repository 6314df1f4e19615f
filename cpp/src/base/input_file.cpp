// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "base/input_file.hpp"

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

InputFile::InputFile(const std::string& path, std::string what) : what_(std::move(what)) {
  std::error_code error;
  file_ = platform::open_file(path, platform::Opening::read, error);
  if (!file_) unreadable(what_, error.message());
  const platform::FileStatus status = platform::status_of(file_, error);
  if (error || !status.regular) unreadable(what_, "no regular file");
  size_ = status.size;
}

void InputFile::read(std::uint64_t offset, void* out, std::size_t count) const {
  std::error_code error;
  const std::size_t got = platform::read_at(file_, out, count, offset, error);
  if (error) unreadable(what_, error.message());
  if (got < count) unreadable(what_, "it ends early");
}

}  // namespace medsam
