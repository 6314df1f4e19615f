// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <stdexcept>
#include <string>

namespace medsam::backends {

/// A file's bytes, read-only; what another process writes under the same name later is another file.
class MappedFile {
 public:
  /// std::runtime_error where the file cannot be mapped or has no byte.
  explicit MappedFile(const std::string& path) {
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) throw std::runtime_error("cannot open " + path);
    struct stat status {};
    if (fstat(file, &status) == 0 && status.st_size > 0) {
      size_ = static_cast<std::size_t>(status.st_size);
      data_ = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0);
    }
    close(file);
    if (data_ == MAP_FAILED) throw std::runtime_error("cannot map " + path);
  }
  /// Of a file that is open already, `size` bytes of it. std::runtime_error likewise.
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
