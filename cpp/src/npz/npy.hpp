// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// NumPy's array format, versions 1 to 3 (numpy/lib/_format_impl.py). Objects are refused, never unpickled.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "npz/bytes.hpp"

namespace medsam::npz {

/// NumPy's kind character of a dtype: 'b' bool, 'u' unsigned, 'i' signed, 'f' floating point.
struct NpyType {
  char kind = 'u';
  int bytes = 1;
};

/// What the header says.
struct NpyHeader {
  NpyType type;
  bool big_endian = false;
  bool fortran_order = false;
  std::vector<std::int64_t> shape;
};

/// An array in C order, native byte order and aligned to its type.
class NpyArray {
 public:
  /// Takes the content of an .npy entry called `name` in errors. InvalidArgument when it is not exactly one array of
  /// numbers.
  NpyArray(Bytes content, const std::string& name);

  [[nodiscard]] NpyType type() const { return header_.type; }
  [[nodiscard]] const std::vector<std::int64_t>& shape() const { return header_.shape; }
  [[nodiscard]] std::int64_t count() const { return count_; }
  [[nodiscard]] const std::uint8_t* data() const { return content_.data() + offset_; }
  /// "uint8 (480, 640, 3)".
  [[nodiscard]] std::string describe() const;
  /// Every value as a double; integers beyond 2^53 are rounded.
  [[nodiscard]] std::vector<double> to_doubles() const;

 private:
  NpyHeader header_;
  std::int64_t count_ = 0;
  Bytes content_;
  std::size_t offset_ = 0;
};

/// NumPy's name of a dtype, e.g. "uint8".
std::string type_name(const NpyType& type);

/// "(2, 3)".
std::string shape_text(const std::vector<std::int64_t>& shape);

/// Bytes of the header that npy_header writes for up to three dimensions: data behind it stays aligned to 64.
inline constexpr std::size_t kNpyHeaderBytes = 128;

/// Magic, version 1.0 and header of a little-endian unsigned array in C order, kNpyHeaderBytes long.
std::string npy_header(int bytes, const std::vector<std::int64_t>& shape);

}  // namespace medsam::npz
