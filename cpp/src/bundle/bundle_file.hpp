// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Opens the files of a bundle, which comes from anywhere: nothing outside its folder, nothing that is no regular file.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "platform/file.hpp"

namespace medsam {

/// A file of a bundle, opened once. What is checked and read is this one file, whatever its name comes to stand for.
class BundleFile {
 public:
  /// Opens `path`, a name directly in a bundle's folder. Links are followed, but the file must lie in that folder and
  /// be a regular one; it is not opened before that is known, so that no device is touched and no FIFO is waited for.
  /// ModelError.
  explicit BundleFile(const std::string& path);

  [[nodiscard]] std::uint64_t size() const { return size_; }
  /// Gives every byte to `take`, in order and once each. ModelError when there are not `bytes` of them.
  void read(std::uint64_t bytes, const std::function<void(const char* data, std::size_t size)>& take) const;
  /// Path, size, times and inode: what tells that it is still the file of before, unless someone went to the trouble of
  /// hiding a change (verify_model.hpp). Empty where it was changed since it was opened.
  [[nodiscard]] std::string stamp() const;

 private:
  std::string path_;
  platform::File file_;
  std::uint64_t size_ = 0;
  std::string opened_;  // its stamp when it was opened
};

}  // namespace medsam
