// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "base/number_text.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <system_error>
#include <version>

namespace medsam {

namespace {

// DBL_MAX has 309 digits before the point.
using Text = std::array<char, 352>;

}  // namespace

#if !defined(__EMSCRIPTEN__) || defined(__cpp_lib_to_chars)

std::string number_text(double value) {
  Text text;
  return {text.data(),
          std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::general, 10).ptr};
}

std::string fixed_text(double value, int decimals) {
  Text text;
  return {text.data(),
          std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed, decimals).ptr};
}

std::string exact_text(double value) {
  Text text;
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
}

std::optional<double> read_number(const std::string& text) {
  const char* const end = text.data() + text.size();
  double value = 0;
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

#else  // emscripten 3.1.6, whose C library has a point before the decimals in every locale

std::string number_text(double value) {
  Text text;
  return {text.data(), static_cast<std::size_t>(std::snprintf(text.data(), text.size(), "%.10g", value))};
}

std::string fixed_text(double value, int decimals) {
  Text text;
  return {text.data(), static_cast<std::size_t>(std::snprintf(text.data(), text.size(), "%.*f", decimals, value))};
}

std::string exact_text(double value) {
  Text text;
  int size = 0;
  for (int digits = 1; digits <= 17; ++digits) {
    size = std::snprintf(text.data(), text.size(), "%.*g", digits, value);
    if (std::strtod(text.data(), nullptr) == value) break;
  }
  return {text.data(), static_cast<std::size_t>(size)};
}

std::optional<double> read_number(const std::string& text) {
  // strtod's own: space before a number, a plus, and hexadecimal digits.
  if (text.empty() || text.find_first_of(" \t\n\v\f\r+xX") == 0 || text.find_first_of("xX(") != std::string::npos) {
    return std::nullopt;
  }
  char* stop = nullptr;
  errno = 0;
  const double value = std::strtod(text.c_str(), &stop);
  if (errno == ERANGE || stop != text.c_str() + text.size()) return std::nullopt;
  return value;
}

#endif

}  // namespace medsam
