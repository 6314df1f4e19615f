// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "npz/npy.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "medsam/error.hpp"
#include "npz/npy_header.hpp"

namespace medsam::npz {

static_assert(std::endian::native == std::endian::little, "values are used as they lie in the file");

namespace {

/// Number of values, or -1 when their bytes are not exactly `bytes`.
std::int64_t count_values(const NpyHeader& header, std::uint64_t bytes) {
  if (std::find(header.shape.begin(), header.shape.end(), 0) != header.shape.end()) return bytes == 0 ? 0 : -1;
  std::uint64_t count = 1;
  for (const std::int64_t d : header.shape) {
    // Each factor keeps the product below the bytes there are, so nothing overflows.
    if (static_cast<std::uint64_t>(d) > bytes / count) return -1;
    count *= static_cast<std::uint64_t>(d);
  }
  const auto size = static_cast<std::uint64_t>(header.type.bytes);
  return bytes % size == 0 && count == bytes / size ? static_cast<std::int64_t>(count) : -1;
}

template <class T>
void swap_bytes(std::uint8_t* data, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) std::reverse(data + i * sizeof(T), data + (i + 1) * sizeof(T));
}

void to_native(const NpyHeader& header, std::uint8_t* data, std::int64_t count) {
  if (!header.big_endian) return;
  if (header.type.bytes == 2) swap_bytes<std::uint16_t>(data, count);
  if (header.type.bytes == 4) swap_bytes<std::uint32_t>(data, count);
  if (header.type.bytes == 8) swap_bytes<std::uint64_t>(data, count);
}

/// Copies values from Fortran order (first index fastest) to C order (last index fastest).
template <std::size_t kBytes>
void transpose(const std::uint8_t* from, std::uint8_t* to, const std::vector<std::int64_t>& shape, std::int64_t count) {
  const std::size_t rank = shape.size();
  std::vector<std::int64_t> stride(rank, 1), index(rank, 0);
  for (std::size_t d = 1; d < rank; ++d) stride[d] = stride[d - 1] * shape[d - 1];
  const std::int64_t row = shape[rank - 1];
  std::int64_t base = 0;
  for (std::int64_t done = 0; done < count; done += row) {
    for (std::int64_t i = 0; i < row; ++i) {
      std::memcpy(to, from + (base + i * stride[rank - 1]) * static_cast<std::int64_t>(kBytes), kBytes);
      to += kBytes;
    }
    for (std::size_t d = rank - 1; d-- > 0;) {
      base += stride[d];
      if (++index[d] < shape[d]) break;
      base -= stride[d] * shape[d];
      index[d] = 0;
    }
  }
}

Bytes c_order(const std::uint8_t* from, const NpyHeader& header, std::int64_t count) {
  Bytes to(static_cast<std::size_t>(count) * static_cast<std::size_t>(header.type.bytes));
  switch (header.type.bytes) {
    case 1:
      transpose<1>(from, to.data(), header.shape, count);
      break;
    case 2:
      transpose<2>(from, to.data(), header.shape, count);
      break;
    case 4:
      transpose<4>(from, to.data(), header.shape, count);
      break;
    default:
      transpose<8>(from, to.data(), header.shape, count);
  }
  return to;
}

double f16_to_double(std::uint16_t f16) {
  const int exponent = f16 >> 10 & 0x1f;
  const double mantissa = f16 & 0x3ff;
  double value = std::ldexp(mantissa, -24);
  if (exponent == 31) value = mantissa == 0 ? HUGE_VAL : std::nan("");
  if (exponent > 0 && exponent < 31) value = std::ldexp(mantissa + 1024, exponent - 25);
  return (f16 & 0x8000) != 0 ? -value : value;
}

template <class T>
std::vector<double> doubles(const std::uint8_t* data, std::int64_t count) {
  std::vector<double> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i) {
    T value;
    std::memcpy(&value, data + i * sizeof(T), sizeof(T));
    values[i] = static_cast<double>(value);
  }
  return values;
}

}  // namespace

NpyArray::NpyArray(Bytes content, const std::string& name) : content_(std::move(content)) {
  ParsedHeader parsed = parse_npy_header(content_.data(), content_.size(), name);
  header_ = std::move(parsed.header);
  offset_ = parsed.data_offset;
  count_ = count_values(header_, content_.size() - offset_);
  if (count_ < 0) {
    throw InvalidArgument("npz: " + name + " has " + std::to_string(content_.size() - offset_) +
                          " bytes of values, expected " + shape_text(header_.shape) + " of " + type_name(header_.type) +
                          "; save it again");
  }
  to_native(header_, content_.data() + offset_, count_);
  if (header_.fortran_order && header_.shape.size() > 1 && count_ > 0) {
    content_ = c_order(content_.data() + offset_, header_, count_);
    offset_ = 0;
  }
  if (offset_ % static_cast<std::size_t>(header_.type.bytes) != 0) {
    std::memmove(content_.data(), content_.data() + offset_, content_.size() - offset_);
    offset_ = 0;
  }
}

std::string NpyArray::describe() const { return type_name(header_.type) + " " + shape_text(header_.shape); }

std::vector<double> NpyArray::to_doubles() const {
  const auto [kind, bytes] = header_.type;
  if (kind == 'f' && bytes == 2) {
    std::vector<double> values = doubles<std::uint16_t>(data(), count_);
    for (double& value : values) value = f16_to_double(static_cast<std::uint16_t>(value));
    return values;
  }
  if (kind == 'f') return bytes == 4 ? doubles<float>(data(), count_) : doubles<double>(data(), count_);
  if (kind == 'i') {
    if (bytes == 1) return doubles<std::int8_t>(data(), count_);
    if (bytes == 2) return doubles<std::int16_t>(data(), count_);
    return bytes == 4 ? doubles<std::int32_t>(data(), count_) : doubles<std::int64_t>(data(), count_);
  }
  if (bytes == 1) return doubles<std::uint8_t>(data(), count_);
  if (bytes == 2) return doubles<std::uint16_t>(data(), count_);
  return bytes == 4 ? doubles<std::uint32_t>(data(), count_) : doubles<std::uint64_t>(data(), count_);
}

std::string type_name(const NpyType& type) {
  if (type.kind == 'b') return "bool";
  const char* const word = type.kind == 'u' ? "uint" : type.kind == 'i' ? "int" : "float";
  return word + std::to_string(8 * type.bytes);
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "(";
  for (const std::int64_t d : shape) text += std::to_string(d) + ", ";
  if (shape.size() > 1) text.resize(text.size() - 2);
  if (shape.size() == 1) text.pop_back();
  return text + ")";
}

std::string npy_header(int bytes, const std::vector<std::int64_t>& shape) {
  const std::string order = bytes == 1 ? "|" : "<";
  std::string dict = "{'descr': '" + order + "u" + std::to_string(bytes) +
                     "', 'fortran_order': False, 'shape': " + shape_text(shape) + ", }";
  constexpr std::size_t kPrefix = 10;
  dict.resize(kNpyHeaderBytes - kPrefix - 1, ' ');
  std::string header("\x93NUMPY\x01\x00", 8);
  append_little_endian<std::uint16_t>(header, kNpyHeaderBytes - kPrefix);
  return header + dict + "\n";
}

}  // namespace medsam::npz
