// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "platform/file.hpp"

namespace medsam {

/// A file open for reading at any offset. Not memory-mapped: a file cut short while it is read is then an error, not
/// SIGBUS.
class InputFile {
 public:
  /// InvalidArgument, beginning with `what`, when it cannot be opened or is no regular file.
  InputFile(const std::string& path, std::string what);

  [[nodiscard]] std::uint64_t size() const { return size_; }
  /// Reads exactly `count` bytes. InvalidArgument when they are not there.
  void read(std::uint64_t offset, void* out, std::size_t count) const;

 private:
  std::string what_;
  platform::File file_;
  std::uint64_t size_ = 0;
};

}  // namespace medsam
