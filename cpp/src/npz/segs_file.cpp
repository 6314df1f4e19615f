// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "npz/segs_file.hpp"

#include <libdeflate.h>

#include <cstring>
#include <memory>
#include <new>
#include <string_view>

#include "medsam/error.hpp"
#include "npz/npy.hpp"
#include "npz/output_file.hpp"
#include "npz/zip_reader.hpp"

namespace medsam::npz {

namespace {

constexpr char kName[] = "segs.npy";
constexpr int kLevel = 3;  // the fastest on label maps, whose long runs level 1 is no better at
constexpr std::uint32_t kIn64 = 0xffffffff;

std::size_t type_bytes(LabelType type) { return type == LabelType::u32 ? 4 : 2; }

struct Sizes {
  std::uint32_t crc32;
  std::uint64_t compressed, uncompressed;
  bool zip64;
};

/// The fields that the local header and the directory share (APPNOTE 4.3.7, 4.3.12), from "version needed" to the
/// lengths of name and extra field.
void append_shared_fields(std::string& out, const Sizes& sizes) {
  append_little_endian<std::uint16_t>(out, sizes.zip64 ? 45 : 20);
  append_little_endian<std::uint16_t>(out, 0);       // flags
  append_little_endian<std::uint16_t>(out, 8);       // deflated
  append_little_endian<std::uint16_t>(out, 0);       // 00:00:00
  append_little_endian<std::uint16_t>(out, 0x0021);  // 1980-01-01, as np.savez has it
  append_little_endian<std::uint32_t>(out, sizes.crc32);
  for (const std::uint64_t size : {sizes.compressed, sizes.uncompressed}) {
    append_little_endian<std::uint32_t>(out, sizes.zip64 ? kIn64 : static_cast<std::uint32_t>(size));
  }
  append_little_endian<std::uint16_t>(out, sizeof kName - 1);
  append_little_endian<std::uint16_t>(out, sizes.zip64 ? 20 : 0);
}

void append_extra(std::string& out, const Sizes& sizes) {
  if (!sizes.zip64) return;
  append_little_endian<std::uint16_t>(out, 1);
  append_little_endian<std::uint16_t>(out, 16);
  append_little_endian<std::uint64_t>(out, sizes.uncompressed);
  append_little_endian<std::uint64_t>(out, sizes.compressed);
}

std::string local_header(const Sizes& sizes) {
  std::string out;
  append_little_endian<std::uint32_t>(out, 0x04034b50);
  append_shared_fields(out, sizes);
  out += kName;
  append_extra(out, sizes);
  return out;
}

std::string directory_and_end(const Sizes& sizes, std::uint64_t offset) {
  std::string out;
  append_little_endian<std::uint32_t>(out, 0x02014b50);
  append_little_endian<std::uint16_t>(out, 3 << 8 | 45);  // made by Unix
  append_shared_fields(out, sizes);
  out.append(6, '\0');                                       // no comment, disk 0, binary
  append_little_endian<std::uint32_t>(out, 0100600U << 16);  // a regular file, rw-------
  append_little_endian<std::uint32_t>(out, 0);               // offset of the local header
  out += kName;
  append_extra(out, sizes);
  const auto directory = static_cast<std::uint32_t>(out.size());
  append_little_endian<std::uint32_t>(out, 0x06054b50);
  out.append(4, '\0');
  append_little_endian<std::uint16_t>(out, 1);
  append_little_endian<std::uint16_t>(out, 1);
  append_little_endian<std::uint32_t>(out, directory);
  append_little_endian<std::uint32_t>(out, static_cast<std::uint32_t>(offset));
  append_little_endian<std::uint16_t>(out, 0);
  return out;
}

}  // namespace

Segs::Segs(const Case& c)
    : depth_(c.depth),
      height_(c.height),
      width_(c.width),
      type_(c.objects() > 65535 ? LabelType::u32 : LabelType::u16),
      npy_(kNpyHeaderBytes + static_cast<std::size_t>(depth_ * height_ * width_) * type_bytes(type_)) {
  std::vector<std::int64_t> shape{height_, width_};
  if (c.is_volume) shape.insert(shape.begin(), depth_);
  const std::string header = npy_header(static_cast<int>(type_bytes(type_)), shape);
  std::memcpy(npy_.data(), header.data(), header.size());
}

void Segs::clear() { std::memset(npy_.data() + kNpyHeaderBytes, 0, npy_.size() - kNpyHeaderBytes); }

LabelView Segs::image() const {
  const auto row = width_ * static_cast<std::int64_t>(type_bytes(type_));
  return {npy_.data() + kNpyHeaderBytes, type_, height_, width_, row};
}

LabelVolumeView Segs::volume() const {
  const auto row = width_ * static_cast<std::int64_t>(type_bytes(type_));
  return {npy_.data() + kNpyHeaderBytes, type_, depth_, height_, width_, row, height_ * row};
}

void write_segs(const std::string& path, const Segs& segs, Zip64 zip64) {
  const Bytes& npy = segs.npy();
  const std::unique_ptr<libdeflate_compressor, void (*)(libdeflate_compressor*)> compressor(
      libdeflate_alloc_compressor(kLevel), libdeflate_free_compressor);
  if (!compressor) throw std::bad_alloc();
  const Bytes compressed(libdeflate_deflate_compress_bound(compressor.get(), npy.size()));
  Sizes sizes{libdeflate_crc32(0, npy.data(), npy.size()), 0, npy.size(), false};
  sizes.compressed =
      libdeflate_deflate_compress(compressor.get(), npy.data(), npy.size(), compressed.data(), compressed.size());
  sizes.zip64 = zip64 == Zip64::always || sizes.uncompressed >= kIn64;
  const std::string head = local_header(sizes);
  const std::uint64_t offset = head.size() + sizes.compressed;
  if (offset >= kIn64) {
    throw Unsupported("output: got a label volume of " + std::to_string(sizes.compressed) +
                      " bytes when compressed, expected less than 4 GiB; split the volume");
  }
  const std::string tail = directory_and_end(sizes, offset);
  const std::string_view content(reinterpret_cast<const char*>(compressed.data()),
                                 static_cast<std::size_t>(sizes.compressed));
  write_file_atomically(path, {head, content, tail});
}

bool is_segs_file(const std::string& path) {
  try {
    return ZipReader(path).find(kName) != nullptr;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace medsam::npz
