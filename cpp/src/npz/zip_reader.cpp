// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "npz/zip_reader.hpp"

#include <libdeflate.h>

#include <algorithm>
#include <memory>
#include <new>
#include <optional>

#include "base/memory_limit.hpp"
#include "medsam/error.hpp"

namespace medsam::npz {

namespace {

constexpr std::uint32_t kLocalHeader = 0x04034b50, kDirectoryHeader = 0x02014b50, kEnd = 0x06054b50;
constexpr std::uint32_t kZip64End = 0x06064b50, kZip64Locator = 0x07064b50;
constexpr std::size_t kLocalBytes = 30, kDirectoryBytes = 46, kEndBytes = 22, kZip64EndBytes = 56, kLocatorBytes = 20;
constexpr std::size_t kLargestComment = 65535;
constexpr std::uint64_t kLargestDirectory = std::uint64_t{16} << 20;
constexpr std::uint32_t kIn64 = 0xffffffff;  // a 32-bit field whose value is in the zip64 record
// Deflate's best: 258 bytes from a length and a distance code of one bit each (RFC 1951 3.2.5).
constexpr std::uint64_t kLargestRatio = 1032;

[[noreturn]] void damaged(const std::string& what) {
  throw InvalidArgument("npz: " + what + ", expected an intact NPZ file; copy it or make it again");
}

struct Directory {
  std::uint64_t offset = 0, size = 0, count = 0;
};

std::optional<Directory> read_zip64_end(const InputFile& file, std::uint64_t end) {
  if (end < kLocatorBytes) return std::nullopt;
  std::uint8_t locator[kLocatorBytes];
  file.read(end - kLocatorBytes, locator, sizeof locator);
  if (little_endian<std::uint32_t>(locator) != kZip64Locator) return std::nullopt;
  const auto offset = little_endian<std::uint64_t>(locator + 8);
  if (offset > end - kLocatorBytes || end - kLocatorBytes - offset < kZip64EndBytes)
    damaged("its zip64 record is missing");
  std::uint8_t record[kZip64EndBytes];
  file.read(offset, record, sizeof record);
  if (little_endian<std::uint32_t>(record) != kZip64End) damaged("its zip64 record is missing");
  return Directory{little_endian<std::uint64_t>(record + 48), little_endian<std::uint64_t>(record + 40),
                   little_endian<std::uint64_t>(record + 32)};
}

Directory find_directory(const InputFile& file) {
  if (file.size() < kEndBytes) damaged("got " + std::to_string(file.size()) + " bytes, too short for a ZIP");
  const std::size_t tail = static_cast<std::size_t>(std::min<std::uint64_t>(file.size(), kEndBytes + kLargestComment));
  const Bytes bytes(tail);
  file.read(file.size() - tail, bytes.data(), tail);
  for (std::size_t at = tail - kEndBytes + 1; at-- > 0;) {
    const std::uint8_t* p = bytes.data() + at;
    if (little_endian<std::uint32_t>(p) != kEnd || little_endian<std::uint16_t>(p + 20) != tail - at - kEndBytes)
      continue;
    const std::uint64_t end = file.size() - tail + at;
    if (little_endian<std::uint16_t>(p + 4) != 0 && little_endian<std::uint16_t>(p + 4) != 0xffff) {
      damaged("it is one part of several");
    }
    const Directory plain{little_endian<std::uint32_t>(p + 16), little_endian<std::uint32_t>(p + 12),
                          little_endian<std::uint16_t>(p + 10)};
    const Directory found = read_zip64_end(file, end).value_or(plain);
    if (found.offset > end || found.size > end - found.offset) damaged("its directory lies outside the file");
    return found;
  }
  damaged("it is truncated or no ZIP (no end record)");
}

/// Replaces saturated sizes by those of the zip64 extra field (APPNOTE 4.5.3), which are there in this order.
void apply_zip64(ZipEntry& entry, const std::uint8_t* extra, std::size_t size) {
  std::uint64_t* const wanted[3] = {entry.uncompressed == kIn64 ? &entry.uncompressed : nullptr,
                                    entry.compressed == kIn64 ? &entry.compressed : nullptr,
                                    entry.header_offset == kIn64 ? &entry.header_offset : nullptr};
  while (size >= 4) {
    const auto id = little_endian<std::uint16_t>(extra);
    std::size_t left = little_endian<std::uint16_t>(extra + 2);
    if (left > size - 4) damaged("the directory's entry \"" + entry.name + "\" is garbled");
    const std::uint8_t* field = extra + 4;
    extra += 4 + left;
    size -= 4 + left;
    if (id != 1) continue;
    for (std::uint64_t* value : wanted) {
      if (value == nullptr) continue;
      if (left < 8) damaged("the directory's entry \"" + entry.name + "\" is garbled");
      *value = little_endian<std::uint64_t>(field);
      field += 8;
      left -= 8;
    }
    return;
  }
}

/// Refused here rather than killed by the kernel, which promises more memory than there is.
void check_memory(std::uint64_t bytes, const std::string& name) {
  const std::uint64_t memory = usable_memory();
  if (bytes <= memory) return;
  throw OutOfMemory("npz: " + name + " holds " + std::to_string(bytes) + " bytes, expected at most the " +
                    std::to_string(memory) + " that this process may use; split the volume");
}

void inflate(const Bytes& from, const Bytes& to, const std::string& name) {
  const std::unique_ptr<libdeflate_decompressor, void (*)(libdeflate_decompressor*)> decompressor(
      libdeflate_alloc_decompressor(), libdeflate_free_decompressor);
  if (!decompressor) throw std::bad_alloc();
  // Without a place for the actual size, anything but exactly to.size() bytes is an error.
  const libdeflate_result result =
      libdeflate_deflate_decompress(decompressor.get(), from.data(), from.size(), to.data(), to.size(), nullptr);
  if (result != LIBDEFLATE_SUCCESS)
    damaged("the content of " + name + " is damaged (not the deflate stream it should be)");
}

}  // namespace

ZipReader::ZipReader(const std::string& path) : file_(path, "npz") {
  const Directory directory = find_directory(file_);
  if (directory.size > kLargestDirectory) damaged("its directory has " + std::to_string(directory.size) + " bytes");
  directory_offset_ = directory.offset;
  read_directory(directory.offset, directory.size, directory.count);
}

void ZipReader::read_directory(std::uint64_t offset, std::uint64_t size, std::uint64_t count) {
  const Bytes bytes(static_cast<std::size_t>(size));
  file_.read(offset, bytes.data(), bytes.size());
  const std::uint8_t* p = bytes.data();
  std::size_t left = bytes.size();
  for (std::uint64_t i = 0; i < count; ++i) {
    if (left < kDirectoryBytes || little_endian<std::uint32_t>(p) != kDirectoryHeader)
      damaged("its directory is garbled");
    const std::size_t name = little_endian<std::uint16_t>(p + 28), extra = little_endian<std::uint16_t>(p + 30);
    const std::size_t whole = kDirectoryBytes + name + extra + little_endian<std::uint16_t>(p + 32);
    if (whole > left) damaged("its directory is garbled");
    ZipEntry entry;
    entry.flags = little_endian<std::uint16_t>(p + 8);
    entry.method = little_endian<std::uint16_t>(p + 10);
    entry.crc32 = little_endian<std::uint32_t>(p + 16);
    entry.compressed = little_endian<std::uint32_t>(p + 20);
    entry.uncompressed = little_endian<std::uint32_t>(p + 24);
    entry.header_offset = little_endian<std::uint32_t>(p + 42);
    entry.name.assign(reinterpret_cast<const char*>(p + kDirectoryBytes), name);
    apply_zip64(entry, p + kDirectoryBytes + name, extra);
    entries_.push_back(std::move(entry));
    p += whole;
    left -= whole;
  }
}

const ZipEntry* ZipReader::find(const std::string& name) const {
  const ZipEntry* found = nullptr;
  for (const ZipEntry& entry : entries_) {
    if (entry.name != name) continue;
    if (found != nullptr) damaged("it holds " + name + " twice");
    found = &entry;
  }
  return found;
}

std::uint64_t ZipReader::content_offset(const ZipEntry& entry) const {
  const std::uint64_t limit = directory_offset_;  // entries lie before the directory
  if (entry.header_offset > limit || limit - entry.header_offset < kLocalBytes)
    damaged(entry.name + " lies outside the file");
  std::uint8_t header[kLocalBytes];
  file_.read(entry.header_offset, header, sizeof header);
  if (little_endian<std::uint32_t>(header) != kLocalHeader) damaged("the header of " + entry.name + " is garbled");
  // The local header's own name and extra field may differ in length from the directory's; its sizes may be unset.
  const std::uint64_t skip = kLocalBytes + std::uint64_t{little_endian<std::uint16_t>(header + 26)} +
                             little_endian<std::uint16_t>(header + 28);
  const std::uint64_t left = limit - entry.header_offset;
  if (skip > left || entry.compressed > left - skip) damaged(entry.name + " lies outside the file");
  return entry.header_offset + skip;
}

Bytes ZipReader::read(const ZipEntry& entry, std::uint64_t most) const {
  constexpr std::uint16_t kEncrypted = 1;
  constexpr std::uint16_t kStored = 0, kDeflated = 8;
  if ((entry.flags & kEncrypted) != 0) damaged(entry.name + " is encrypted");
  if (entry.method != kStored && entry.method != kDeflated) {
    throw InvalidArgument("npz: " + entry.name + " is compressed by method " + std::to_string(entry.method) +
                          ", expected stored or deflated; write it with numpy.savez_compressed");
  }
  const std::uint64_t offset = content_offset(entry);
  // entry.compressed lies within the file, so the product is far from overflow.
  const bool possible = entry.method == kStored ? entry.uncompressed == entry.compressed
                                                : entry.uncompressed <= entry.compressed * kLargestRatio;
  if (!possible) {
    damaged(entry.name + " claims " + std::to_string(entry.uncompressed) + " bytes from " +
            std::to_string(entry.compressed) + ", more than can be");
  }
  if (entry.uncompressed > most) {
    throw InvalidArgument("npz: " + entry.name + " holds " + std::to_string(entry.uncompressed) +
                          " bytes, expected at most " + std::to_string(most) + "; split the volume");
  }
  check_memory(entry.uncompressed, entry.name);
  Bytes content(static_cast<std::size_t>(entry.uncompressed));
  if (entry.method == kStored) {
    file_.read(offset, content.data(), content.size());
  } else {
    const Bytes compressed(static_cast<std::size_t>(entry.compressed));
    file_.read(offset, compressed.data(), compressed.size());
    inflate(compressed, content, entry.name);
  }
  if (libdeflate_crc32(0, content.data(), content.size()) != entry.crc32) {
    damaged("the content of " + entry.name + " is damaged (its CRC differs)");
  }
  return content;
}

}  // namespace medsam::npz
