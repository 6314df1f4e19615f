// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "npz/npy_header.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string_view>

#include "medsam/error.hpp"

namespace medsam::npz {

namespace {

constexpr std::size_t kMagicBytes = 6;
constexpr std::size_t kLargestHeader = 65535;  // of version 1; an array of numbers never needs more
constexpr std::size_t kLargestRank = 32;

/// Reads the header's Python dict literal: exactly the keys descr, fortran_order and shape.
class DictReader {
 public:
  DictReader(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  NpyHeader read() {
    NpyHeader header;
    bool descr = false, order = false, shape = false;
    expect('{');
    while (!take('}')) {
      const std::string key = string();
      expect(':');
      if (key == "descr" && !descr) {
        descr = true;
        read_type(header);
      } else if (key == "fortran_order" && !order) {
        order = true;
        header.fortran_order = boolean();
      } else if (key == "shape" && !shape) {
        shape = true;
        header.shape = tuple();
      } else {
        garbled();
      }
      if (!take(',') && peek() != '}') garbled();
    }
    skip_space();
    if (at_ != text_.size() || !descr || !order || !shape) garbled();
    return header;
  }

 private:
  [[noreturn]] void garbled() const {
    throw InvalidArgument("npz: the header of " + name_ +
                          " is garbled, expected an array saved by NumPy; save it again");
  }
  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) ++at_;
  }
  char peek() {
    skip_space();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!take(c)) garbled();
  }

  std::string string() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') garbled();
    const std::size_t end = text_.find(quote, ++at_);
    if (end == std::string_view::npos) garbled();
    const std::string value(text_.substr(at_, end - at_));
    at_ = end + 1;
    return value;
  }

  bool boolean() {
    skip_space();
    for (const bool value : {false, true}) {
      const std::string_view word = value ? "True" : "False";
      if (text_.substr(at_, word.size()) != word) continue;
      at_ += word.size();
      return value;
    }
    garbled();
  }

  std::vector<std::int64_t> tuple() {
    std::vector<std::int64_t> values;
    expect('(');
    while (!take(')')) {
      if (values.size() == kLargestRank) garbled();
      values.push_back(integer());
      const bool comma = take(',');
      // (3) is no tuple, (3,) is.
      if (!comma && (peek() != ')' || values.size() == 1)) garbled();
    }
    return values;
  }

  std::int64_t integer() {
    constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
    std::int64_t value = 0;
    skip_space();
    const std::size_t first = at_;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      const int digit = text_[at_] - '0';
      if (value > (kMost - digit) / 10) garbled();
      value = value * 10 + digit;
    }
    if (at_ == first) garbled();
    if (at_ < text_.size() && text_[at_] == 'L') ++at_;  // as Python 2 wrote it
    return value;
  }

  void read_type(NpyHeader& header) {
    if (peek() == '[') refuse("a structured array");
    const std::string descr = string();
    const bool known = std::all_of(descr.begin(), descr.end(), [](char c) { return c > ' ' && c <= '~'; });
    if (!known || descr.size() > 32) garbled();
    if (descr.find('O') != std::string::npos) {
      throw InvalidArgument(
          "npz: " + name_ +
          " is an object array, which is never unpickled, expected an array of numbers; save it with a "
          "numeric dtype");
    }
    if (descr.size() < 3 || std::string_view("<>|=").find(descr[0]) == std::string_view::npos) refuse("dtype " + descr);
    int bytes = 0;
    for (const char c : descr.substr(2)) {
      if (c < '0' || c > '9' || bytes > 99) refuse("dtype " + descr);
      bytes = bytes * 10 + (c - '0');
    }
    const char kind = descr[1];
    const bool integer = (kind == 'u' || kind == 'i') && (bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8);
    const bool real = kind == 'f' && (bytes == 2 || bytes == 4 || bytes == 8);
    const bool boolean = kind == 'b' && bytes == 1;
    if (!integer && !real && !boolean) refuse("dtype " + descr);
    header.type = {kind, bytes};
    header.big_endian = descr[0] == '>';
  }

  [[noreturn]] void refuse(const std::string& got) const {
    throw InvalidArgument("npz: " + name_ + " is " + got +
                          ", expected bool, an integer, float16, float32 or float64; convert it with astype");
  }

  std::string_view text_;
  const std::string& name_;
  std::size_t at_ = 0;
};

}  // namespace

ParsedHeader parse_npy_header(const std::uint8_t* data, std::size_t size, const std::string& name) {
  const auto refuse = [&] {
    throw InvalidArgument("npz: " + name +
                          " is no NPY array of version 1 to 3, expected one saved by NumPy; save it again");
  };
  if (size < kMagicBytes + 4 || std::memcmp(data, "\x93NUMPY", kMagicBytes) != 0) refuse();
  const int version = data[kMagicBytes];
  if (version < 1 || version > 3 || data[kMagicBytes + 1] != 0) refuse();
  const std::size_t prefix = kMagicBytes + 2 + (version == 1 ? 2 : 4);
  if (size < prefix) refuse();
  const std::size_t length = version == 1 ? little_endian<std::uint16_t>(data + kMagicBytes + 2)
                                          : little_endian<std::uint32_t>(data + kMagicBytes + 2);
  if (length > kLargestHeader || length > size - prefix) refuse();
  const std::string_view text(reinterpret_cast<const char*>(data + prefix), length);
  return {DictReader(text, name).read(), prefix + length};
}

}  // namespace medsam::npz
