// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// One linear memory without pages that could be protected: a mapped file is a copy, and sealed bytes are safe from
// everybody but this module.
#include <cstring>
#include <new>
#include <stdexcept>

#include "platform/memory.hpp"

namespace medsam::platform {

// Of 32-bit addresses; how much of it a browser gives is not known before it is asked.
std::uint64_t physical_memory() { return std::uint64_t{1} << 32; }

bool has_control_groups() { return false; }

std::uint64_t address_space_limit() { return std::uint64_t{1} << 32; }

MappedFile::MappedFile(const File& file, std::size_t size) : size_(size) {
  std::error_code error;
  data_ = size > 0 ? new (std::nothrow) char[size] : nullptr;
  if (data_ == nullptr || read_at(file, data_, size, 0, error) != size) {
    delete[] data_;
    throw std::runtime_error("cannot map a file of " + std::to_string(size) + " bytes");
  }
}

MappedFile::~MappedFile() { delete[] data_; }

void MappedFile::release_pages() const {}

std::error_code SealedMemory::open(std::size_t size) {
  size_ = size;
  data_ = new (std::nothrow) char[size];
  return data_ != nullptr ? std::error_code() : std::make_error_code(std::errc::not_enough_memory);
}

std::error_code SealedMemory::append(const char* data, std::size_t size) {
  std::memcpy(data_ + written_, data, size);
  written_ += size;
  return {};
}

std::error_code SealedMemory::seal() {
  sealed_ = true;
  return {};
}

std::string SealedMemory::path() const { return ""; }

void SealedMemory::clear() noexcept {
  delete[] data_;
  data_ = nullptr;
}

}  // namespace medsam::platform
