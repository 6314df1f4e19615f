// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The system's memory: how much there is, files mapped into it, and bytes that nobody can change any more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <system_error>

#include "platform/file.hpp"

namespace medsam::platform {

/// Bytes; 0 where the system does not say.
std::uint64_t physical_memory();
/// Whether the system limits the memory of groups of processes (cgroups(7)), and says so in files of Linux's names.
bool has_control_groups();
/// The most address space that this process may have; UINT64_MAX where there is no limit.
std::uint64_t address_space_limit();

/// The bytes of a file, read-only. Not for files that somebody else can write to: a mapping changes with the file.
class MappedFile {
 public:
  /// `size` bytes of a file that is open. std::runtime_error where it cannot be mapped or has no byte.
  MappedFile(const File& file, std::size_t size);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  [[nodiscard]] const char* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }

  /// Takes the pages out of the process' memory; one that is read again comes back from the file.
  void release_pages() const;

 private:
  char* data_ = nullptr;
  std::size_t size_;
};

/// Bytes that are written once. After seal() a write is an error on Linux, whoever makes it (memfd_create's seals); on
/// other systems the pages are read-only until somebody in this process makes them writable again.
class SealedMemory {
 public:
  SealedMemory() = default;
  ~SealedMemory() { clear(); }
  SealedMemory(const SealedMemory&) = delete;
  SealedMemory& operator=(const SealedMemory&) = delete;

  /// Room for `size` bytes, more than 0. To be called once.
  std::error_code open(std::size_t size);
  /// `size` bytes behind those of before, within what open() was told.
  std::error_code append(const char* data, std::size_t size);
  std::error_code seal();

  /// Null until seal().
  [[nodiscard]] const char* data() const { return sealed_ ? data_ : nullptr; }
  [[nodiscard]] std::size_t size() const { return size_; }
  /// A path at which this process can open the bytes as a file, valid for as long as this object; "" where the system
  /// has no such file, as on Windows and macOS.
  [[nodiscard]] std::string path() const;
  void clear() noexcept;

 private:
  File file_;
  char* data_ = nullptr;
  std::size_t size_ = 0;
  [[maybe_unused]] std::size_t written_ = 0;  // on Linux the file itself knows it
  bool sealed_ = false;
};

}  // namespace medsam::platform
