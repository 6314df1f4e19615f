// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A block of memory, and little-endian numbers in it as ZIP and NPY have them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/scratch.hpp"

namespace medsam::npz {

/// Uninitialized bytes, aligned to 64. std::bad_alloc when there is no memory.
class Bytes {
 public:
  Bytes() : Bytes(0) {}
  explicit Bytes(std::size_t size) : memory_(size), size_(size) {}
  [[nodiscard]] std::uint8_t* data() const { return static_cast<std::uint8_t*>(memory_.data()); }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  Scratch memory_;
  std::size_t size_;
};

/// The little-endian number of sizeof(T) bytes at `p`.
template <class T>
T little_endian(const std::uint8_t* p) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) value = static_cast<T>(value | static_cast<T>(p[i]) << (8 * i));
  return value;
}

template <class T>
void append_little_endian(std::string& out, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) out.push_back(static_cast<char>(value >> (8 * i) & 0xff));
}

}  // namespace medsam::npz
