// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Lists as messages write them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace medsam {

/// "a, b, c": what `text_of` returns for each value.
template <class Values, class TextOf>
std::string joined(const Values& values, const TextOf& text_of) {
  std::string text;
  for (const auto& value : values) {
    if (!text.empty()) text += ", ";
    text += text_of(value);
  }
  return text;
}

/// "a, b, c", of texts.
template <class Texts>
std::string joined(const Texts& texts) {
  return joined(texts, [](const auto& text) { return text; });
}

/// "(1, 3, 256, 256)".
inline std::string shape_text(const std::vector<std::int64_t>& shape) {
  return "(" + joined(shape, [](std::int64_t d) { return std::to_string(d); }) + ")";
}

}  // namespace medsam
