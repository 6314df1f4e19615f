// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "bundle/modality.hpp"

#include <algorithm>
#include <cctype>
#include <vector>

#include "base/text.hpp"
#include "medsam/error.hpp"

namespace medsam {

namespace {

struct Spelling {
  const char* word;  // lower case, letters and digits only
  const char* modality;
};

// The challenge's file names and the published scripts spell them so (dong845/MCP-MedSAM infer.py get_category;
// automl/CVPR24-MedSAM-on-Laptop PerfectMetaOpenVINO.py).
constexpr Spelling kSpellings[] = {
    {"ct", "CT"},
    {"mr", "MR"},
    {"mri", "MR"},
    {"pet", "PET"},
    {"us", "US"},
    {"ultrasound", "US"},
    {"xray", "XRay"},
    {"cxr", "XRay"},
    {"xr", "XRay"},
    {"mammography", "Mammography"},
    {"mammo", "Mammography"},
    {"mammogram", "Mammography"},
    {"dermoscopy", "Dermoscopy"},
    {"dermoscope", "Dermoscopy"},
    {"endoscopy", "Endoscopy"},
    {"endoscope", "Endoscopy"},
    {"fundus", "Fundus"},
    {"microscopy", "Microscopy"},
    {"microscope", "Microscopy"},
    {"oct", "OCT"},
};

template <class Map>
std::vector<std::string> keys(const Map& map) {
  std::vector<std::string> names;
  names.reserve(map.size());
  for (const auto& [key, value] : map) names.push_back(key);
  return names;
}

std::string canonical(const std::string& modality) {
  if (modality.empty()) return modality;
  const auto name = canonical_modality(modality);
  if (!name) {
    throw InvalidArgument("modality: got \"" + modality.substr(0, 60) + "\", expected one of " +
                          joined(modality_names()));
  }
  return *name;
}

std::string given(const std::string& name) { return name.empty() ? "none" : "\"" + name + "\""; }

}  // namespace

std::optional<std::string> canonical_modality(const std::string& word) {
  std::string plain;
  for (const char c : word) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      plain += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
  }
  for (const Spelling& spelling : kSpellings) {
    if (plain == spelling.word) return spelling.modality;
  }
  return std::nullopt;
}

std::vector<std::string> modality_names() {
  std::vector<std::string> names;
  for (const Spelling& spelling : kSpellings) names.emplace_back(spelling.modality);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

Route route(const ModalityRules& rules, const std::string& modality) {
  const std::string name = canonical(modality);
  Route route;
  if (!rules.index.empty()) {
    const auto it = rules.index.find(name);
    if (it == rules.index.end()) {
      throw InvalidArgument("modality: got " + given(name) + ", this model needs one of " + joined(keys(rules.index)) +
                            "; give the image's modality");
    }
    route.index = it->second;
  }
  if (!rules.experts.empty() || rules.fallback) {
    const auto it = rules.experts.find(name);
    if (it == rules.experts.end() && !rules.fallback) {
      throw InvalidArgument("modality: got " + given(name) + ", this bundle has experts for " +
                            joined(keys(rules.experts)) + " and none for other images; give the image's modality");
    }
    route.expert = it == rules.experts.end() ? *rules.fallback : it->second;
  }
  return route;
}

}  // namespace medsam
