// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Reads a bundle: docs/bundle.md is the contract.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/cache_folder.hpp"
#include "bundle/certificate.hpp"
#include "bundle/modality.hpp"
#include "bundle/model_file.hpp"
#include "bundle/profile.hpp"
#include "bundle/prompt_encoding.hpp"
#include "bundle/trained_prompts.hpp"
#include "bundle/variant.hpp"

namespace medsam {

struct Bundle {
  std::string folder;
  std::string family;
  Profile profile;  // with image rules
  int input_size = 0;
  PromptEncoding prompt;
  TrainedPrompts trained;
  ModalityRules modality;
  std::map<std::string, ModelSet> models;  // by expert; one, "", in a bundle without experts
  bool graphs = true;                      // false: the models have native forms alone, each stage one
  std::string model_hash;                  // over all models' hashes
  std::vector<Certificate> certificates;
  std::vector<Variant> variants;  // what the stages may be computed in

  /// ModelError when the expert has no model of that role.
  [[nodiscard]] const ModelFile& model(const std::string& role, const std::string& expert = "") const;
  /// Any expert's: what docs/bundle.md demands to be the same for all.
  [[nodiscard]] const ModelSet& first() const { return models.begin()->second; }
  /// Whether a decoder looks at the pixels inside a box, which must then stay with the embedding.
  [[nodiscard]] bool needs_crops() const;
  /// Whether a variant runs on this library's own kernels.
  [[nodiscard]] bool has_native_models() const;
};

/// Checks that the engine can fill and read every tensor of the experts' models. ModelError.
void check_models(const Bundle& bundle);

/// Reads the manifest and checks every file's size. ModelError naming the file and field otherwise.
Bundle read_bundle(const std::string& folder);

}  // namespace medsam
