// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <stdexcept>
#include <string>

namespace medsam::backends {

/// The bytes of a file in the cache folder, read-only; what another process puts under the same name later is another
/// file. Not for a bundle's files: whoever can write those would write into the mapping (verified_model.hpp).
class MappedFile {
 public:
  /// `size` bytes of a file that is open (own_files.hpp). std::runtime_error where it cannot be mapped or has no byte.
  MappedFile(int file, std::size_t size) : size_(size) {
    if (size > 0) data_ = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0);
    if (data_ == MAP_FAILED) throw std::runtime_error("cannot map a file of " + std::to_string(size) + " bytes");
  }
  ~MappedFile() { munmap(data_, size_); }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  [[nodiscard]] const char* data() const { return static_cast<const char*>(data_); }
  [[nodiscard]] std::size_t size() const { return size_; }

  /// Takes the pages out of the process' memory; one that is read again comes back from the file.
  void release_pages() const { madvise(data_, size_, MADV_DONTNEED); }

 private:
  void* data_ = MAP_FAILED;
  std::size_t size_ = 0;
};

}  // namespace medsam::backends
