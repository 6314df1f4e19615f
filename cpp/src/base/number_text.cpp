// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "base/number_text.hpp"

#include <array>
#include <charconv>

namespace medsam {

namespace {

// DBL_MAX has 309 digits before the point.
using Text = std::array<char, 352>;

}  // namespace

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

}  // namespace medsam
