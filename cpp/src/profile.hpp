// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The named rules of one published system, as data (docs/profiles.md). The built-in ones are profiles/*.json, compiled in;
// a bundle carries its own in full.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "json_reader.hpp"

namespace medsam {

enum class Fit { longest_side, stretch };
enum class Interpolation { area, linear, cubic };
enum class NormalizeKind { min_max, min_max_padded, mean_std };
enum class BoxRounding { none, truncate };
enum class MaskUpsample { logits };

/// How pixels become the encoder's input. Belongs to the weights: only a bundle's own profile decides it.
struct ImageRules {
  Fit fit = Fit::longest_side;
  Interpolation interpolation = Interpolation::area;
  NormalizeKind normalize = NormalizeKind::min_max;
  double min_range = 1e-8;
  std::vector<double> mean, std;  // mean_std: three each
};

/// How a user's prompt becomes the decoder's tokens.
struct PromptRules {
  BoxRounding box_rounding = BoxRounding::none;
};

/// How low-resolution logits become a mask.
struct MaskRules {
  MaskUpsample upsample = MaskUpsample::logits;
};

struct Profile {
  std::string name;
  std::optional<ImageRules> image;  // absent: the bundle's own
  PromptRules prompt;
  MaskRules mask;
};

/// ModelError, naming `where`, on a missing, unknown or mistyped field.
Profile parse_profile(const Json& json, const std::string& where);

/// InvalidArgument naming the profiles there are.
Profile builtin_profile(const std::string& name);

}  // namespace medsam
