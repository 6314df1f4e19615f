// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Which prompts a bundle's weights were trained with: the manifest's `trained_prompts` (docs/bundle.md). A graph takes
// more than its weights know, and answers what they do not know with a wrong mask; so such a prompt is refused here.
#pragma once

#include <string>
#include <vector>

#include "bundle/prompt_encoding.hpp"
#include "medsam/prompt.hpp"

namespace medsam {

struct TrainedPrompts {
  /// What a caller may give, in the manifest's order, of what the graphs take. The default is what a bundle without the
  /// field is taken to know.
  std::vector<PromptKinds> combinations = {PromptKinds::box};
  bool stated = false;  // by the manifest

  [[nodiscard]] bool contains(PromptKinds kinds) const;
};

/// Unsupported unless the weights were trained with a prompt of these kinds. `name` begins the message, `family` names
/// the weights.
void check_trained(PromptKinds kinds, const TrainedPrompts& trained, const std::string& family,
                   const std::string& name);

}  // namespace medsam
