// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// NPZ files for tests, good and bad, written byte by byte and apart from cpp/src/npz.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace medsam::testing {

/// The content of an .npy: version 1.0 with any header text.
std::string npy_with_header(const std::string& dict, const std::string& values);

/// C order; `shape` as Python writes a tuple.
std::string npy(const std::string& descr, const std::string& shape, const std::string& values);

template <class T>
std::string raw(const std::vector<T>& values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

/// A ZIP of stored entries; its parts can be bent before they are put together.
class ZipMaker {
 public:
  struct Entry {
    std::string name, content;
    std::uint16_t flags = 0, method = 0;
    std::uint32_t crc32 = 0, compressed = 0, uncompressed = 0, offset = 0;
    std::string extra;  ///< Of the directory.
  };
  /// Adds a stored entry with true figures.
  ZipMaker& add(const std::string& name, const std::string& content);
  /// Adds a deflated one.
  ZipMaker& add_deflated(const std::string& name, const std::string& content);
  Entry& last() { return entries_.back(); }
  /// What goes in front of the end record, e.g. one of zip64.
  std::string before_end;
  std::string comment;
  [[nodiscard]] std::string bytes();

 private:
  std::vector<Entry> entries_;
};

/// A case with imgs and boxes as given .npy contents.
std::string case_bytes(const std::string& imgs, const std::string& boxes);

/// An image of 6 x 5 u8, value i = i * 7 % 251.
std::string small_image();

}  // namespace medsam::testing
