// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Imaging modalities: their one spelling here, and what a bundle makes of them (docs/bundle.md, "Modalities").
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "medsam/modality.hpp"

namespace medsam {

/// What the manifest says about modalities. All empty: the model does not ask.
struct ModalityRules {
  std::map<std::string, std::int32_t> index;   // modality -> value of the decoder's input `modality`
  std::map<std::string, std::string> experts;  // modality -> expert
  std::optional<std::string> fallback;         // the expert of every other image
};

/// Who answers for an image.
struct Route {
  std::string expert;       // "" where the bundle has one set of models
  std::int32_t index = -1;  // of the decoder's input `modality`; -1 where it has none
};

/// The route of an image of `modality` ("" = not known). InvalidArgument: no modality's name, or one that the bundle
/// needs or does not serve.
Route route(const ModalityRules& rules, const std::string& modality);

}  // namespace medsam
