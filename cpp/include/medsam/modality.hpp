// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The imaging modalities that the engine knows by name.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "medsam/export.hpp"

namespace medsam {

/// The modalities that the engine knows, sorted: CT, Dermoscopy, ...
[[nodiscard]] MEDSAM_ENGINE_EXPORT std::vector<std::string> modality_names();

/// The name in modality_names() for a common spelling ("X-Ray", "xray", "Microscope"), in upper or lower case; nothing
/// for a word that names no modality.
[[nodiscard]] MEDSAM_ENGINE_EXPORT std::optional<std::string> canonical_modality(const std::string& word);

}  // namespace medsam
