// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Files that only the user of this process may have written: what the caches and the embedding store hold. No link is
// followed, nothing but a regular file is opened, and nothing waits for another process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

namespace medsam {

/// A file descriptor, closed at the end of its life; -1 = none.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int number() const { return number_; }
  [[nodiscard]] explicit operator bool() const { return number_ >= 0; }
  void close();

 private:
  int number_ = -1;
};

/// A regular file of this user, open to be read, and its size.
struct OwnFile {
  Descriptor descriptor;
  std::uint64_t size = 0;
  std::string fault;  // why it was not opened; "" when it was, or when there is none
};

/// Opens a file of at most `limit` bytes.
OwnFile open_own_file(const std::string& path, std::uint64_t limit);

/// The content of an open file. False when fewer bytes come than its size said.
bool read_own_file(const OwnFile& file, std::string& content);

/// Creates a file of mode 0600 that was not there, under whatever name (a link counts), to be written. None when it
/// cannot be; errno says why.
Descriptor create_own_file(const std::string& path);

/// Writes all of it. False when it cannot be; errno says why.
bool write_all(const Descriptor& file, const void* data, std::size_t size);

/// Makes a folder of mode 0700 unless there is one, its parents with the usual mode, and says what is wrong with it: ""
/// when it belongs to this user and nobody else may write to it. A group may where it is the user's own (its number is
/// the user's, as most Linux systems set one up).
std::string fault_of_own_folder(const std::string& path);

}  // namespace medsam
