// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The words for windows: names, "WIDTH,LEVEL" and the default of a modality.
#pragma once

#include <cstdint>
#include <string>

namespace medsam {

/// What a word asks for, before any value is looked at.
struct WindowWord {
  enum class Kind : std::uint8_t { none, percentile, full, clip };
  Kind kind = Kind::none;
  double low = 0, high = 0;  // clip: in the unit of the values
};

/// Whether the word is "none", in whatever case and with whatever spaces around it.
bool is_none(const std::string& word);

/// `word` after spaces at its ends are left out and letters are lower-cased. InvalidArgument for a word that names no
/// window, for a width that is not positive, and for a name of ct_presets() if `hounsfield` is false.
WindowWord window_word(const std::string& word, bool hounsfield);

}  // namespace medsam
