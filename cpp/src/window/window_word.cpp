// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "window/window_word.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string_view>

#include "base/number_text.hpp"
#include "base/text.hpp"
#include "medsam/error.hpp"
#include "medsam/window.hpp"

namespace medsam {

namespace {

struct Preset {
  const char* name;
  double width, level;
};

// Abdomen to mediastinum: pre_CT_MR.py (after 3D Slicer's presets); bone: the same order of width as clinical viewers
// use.
constexpr Preset kCtPresets[] = {
    {"abdomen", 400, 40}, {"lung", 1500, -600}, {"brain", 80, 40}, {"mediastinum", 350, 50}, {"bone", 1800, 400},
};

const Preset* preset_of(const std::string& name) {
  const auto* const end = std::end(kCtPresets);
  const auto* const found = std::find_if(std::begin(kCtPresets), end, [&](const Preset& p) { return p.name == name; });
  return found == end ? nullptr : found;
}

std::string stripped(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n\v\f\r";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(kSpace) - first + 1));
}

/// ASCII only: no name has another letter, and the host's locale has no say.
std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

std::optional<double> number(std::string_view text) {
  const std::string digits = stripped(text);
  const bool plus = digits.size() > 1 && digits[0] == '+' && digits[1] != '-';
  return read_number(digits.substr(plus ? 1 : 0));
}

WindowWord clip_of(double width, double level) {
  if (!std::isfinite(width) || !std::isfinite(level) || width <= 0) {
    throw InvalidArgument("window: got width " + number_text(width) + ", level " + number_text(level) +
                          ", expected a positive width; 400,40 is abdomen");
  }
  return {WindowWord::Kind::clip, level - width / 2, level + width / 2};
}

WindowWord width_level(const std::string& text) {
  const std::size_t comma = text.find(',');
  if (comma != std::string::npos) {
    const auto width = number(std::string_view(text).substr(0, comma));
    const auto level = number(std::string_view(text).substr(comma + 1));
    if (width && level) return clip_of(*width, *level);
  }
  throw InvalidArgument("window: got '" + text + "', expected " +
                        joined(kCtPresets, [](const Preset& preset) { return std::string(preset.name); }) +
                        ", percentile, full, none or WIDTH,LEVEL; e.g. --window lung");
}

}  // namespace

bool is_none(const std::string& word) { return lower(stripped(word)) == "none"; }

WindowWord window_word(const std::string& word, bool hounsfield) {
  const std::string name = lower(stripped(word));
  const Preset* const preset = preset_of(name);
  if (preset != nullptr && !hounsfield) {
    throw InvalidArgument("window: got " + name +
                          " for a CT that is not in Hounsfield units, expected percentile, full, none or WIDTH,LEVEL "
                          "in the values of the file; leave it out");
  }
  if (preset != nullptr) return clip_of(preset->width, preset->level);
  if (name == "none") return {};
  if (name == "percentile") return {WindowWord::Kind::percentile};
  if (name == "full") return {WindowWord::Kind::full};
  return width_level(name);
}

std::string default_window(const std::string& modality, bool hounsfield) {
  const std::string code = lower(modality);
  if (code == "ct") return hounsfield ? "abdomen" : "percentile";
  return code == "mr" || code == "mri" || code == "pt" || code == "pet" ? "percentile" : "full";
}

void check_window(const std::string& window) {
  if (!window.empty()) (void)window_word(window, true);
}

std::vector<CtPreset> ct_presets() {
  std::vector<CtPreset> presets;
  for (const Preset& preset : kCtPresets) presets.push_back({preset.name, preset.width, preset.level});
  return presets;
}

}  // namespace medsam
