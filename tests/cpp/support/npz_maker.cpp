// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "support/npz_maker.hpp"

#include <libdeflate.h>

namespace medsam::testing {

namespace {

template <class T>
void put(std::string& out, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) out.push_back(static_cast<char>(value >> (8 * i) & 0xff));
}

std::uint32_t size32(const std::string& s) { return static_cast<std::uint32_t>(s.size()); }

void put_fields(std::string& out, const ZipMaker::Entry& e) {
  put<std::uint16_t>(out, 20);
  put(out, e.flags);
  put(out, e.method);
  put<std::uint32_t>(out, 0);  // time, date
  put(out, e.crc32);
  put(out, e.compressed);
  put(out, e.uncompressed);
  put(out, static_cast<std::uint16_t>(e.name.size()));
}

}  // namespace

std::string npy_with_header(const std::string& dict, const std::string& values) {
  std::string out("\x93NUMPY\x01\x00", 8);
  put(out, static_cast<std::uint16_t>(dict.size() + 1));
  return out + dict + "\n" + values;
}

std::string npy(const std::string& descr, const std::string& shape, const std::string& values) {
  return npy_with_header("{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }", values);
}

ZipMaker& ZipMaker::add(const std::string& name, const std::string& content) {
  Entry entry;
  entry.name = name;
  entry.content = content;
  entry.crc32 = libdeflate_crc32(0, content.data(), content.size());
  entry.compressed = entry.uncompressed = size32(content);
  entries_.push_back(entry);
  return *this;
}

ZipMaker& ZipMaker::add_deflated(const std::string& name, const std::string& content) {
  add(name, content);
  auto* compressor = libdeflate_alloc_compressor(6);
  std::string packed(libdeflate_deflate_compress_bound(compressor, content.size()), '\0');
  packed.resize(libdeflate_deflate_compress(compressor, content.data(), content.size(), packed.data(), packed.size()));
  libdeflate_free_compressor(compressor);
  last().method = 8;
  last().compressed = size32(packed);
  last().content = packed;
  return *this;
}

std::string ZipMaker::bytes() {
  std::string out, directory;
  for (Entry& e : entries_) {
    if (e.offset == 0) e.offset = size32(out);
    put<std::uint32_t>(out, 0x04034b50);
    put_fields(out, e);
    put<std::uint16_t>(out, 0);
    out += e.name + e.content;
    put<std::uint32_t>(directory, 0x02014b50);
    put<std::uint16_t>(directory, 20);
    put_fields(directory, e);
    put(directory, static_cast<std::uint16_t>(e.extra.size()));
    directory.append(10, '\0');
    put(directory, e.offset);
    directory += e.name + e.extra;
  }
  const auto offset = size32(out);
  out += directory + before_end;
  put<std::uint32_t>(out, 0x06054b50);
  out.append(4, '\0');
  put(out, static_cast<std::uint16_t>(entries_.size()));
  put(out, static_cast<std::uint16_t>(entries_.size()));
  put(out, size32(directory));
  put(out, offset);
  put(out, static_cast<std::uint16_t>(comment.size()));
  return out + comment;
}

std::string case_bytes(const std::string& imgs, const std::string& boxes) {
  return ZipMaker().add("imgs.npy", imgs).add_deflated("boxes.npy", boxes).bytes();
}

std::string small_image() {
  std::string values;
  for (int i = 0; i < 30; ++i) values.push_back(static_cast<char>(i * 7 % 251));
  return npy("|u1", "(6, 5)", values);
}

}  // namespace medsam::testing
