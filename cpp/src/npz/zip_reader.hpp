// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// ZIP as NumPy's savez and savez_compressed write it (PKWARE APPNOTE 6.3): stored or deflated, zip64, one disk. Nothing
// in the file is trusted: a size is checked against the file's own before memory is asked for, the CRC after.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/input_file.hpp"
#include "npz/bytes.hpp"

namespace medsam::npz {

struct ZipEntry {
  std::string name;  ///< Only compared, never used as a path.
  std::uint16_t flags = 0, method = 0;
  std::uint32_t crc32 = 0;
  std::uint64_t compressed = 0, uncompressed = 0;  ///< Bytes.
  std::uint64_t header_offset = 0;                 ///< Of the entry's local header.
};

class ZipReader {
 public:
  /// Reads the central directory. InvalidArgument when the file is not a whole ZIP.
  explicit ZipReader(const std::string& path);

  [[nodiscard]] const std::vector<ZipEntry>& entries() const { return entries_; }
  /// The entry of that name, or nullptr. InvalidArgument when there are two: readers disagree which one counts.
  [[nodiscard]] const ZipEntry* find(const std::string& name) const;
  /// The entry's content, checked. InvalidArgument when it is damaged, of an unknown kind, or larger than `most` bytes;
  /// OutOfMemory when it is larger than the machine's memory.
  [[nodiscard]] Bytes read(const ZipEntry& entry, std::uint64_t most) const;

 private:
  void read_directory(std::uint64_t offset, std::uint64_t size, std::uint64_t count);
  [[nodiscard]] std::uint64_t content_offset(const ZipEntry& entry) const;

  InputFile file_;
  std::uint64_t directory_offset_ = 0;
  std::vector<ZipEntry> entries_;
};

}  // namespace medsam::npz
