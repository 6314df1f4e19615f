// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The parsers of the manifest's parts, each defined beside what it reads. A header of its own, because no other of the
// engine's headers includes JSON (scripts/checks/check_sources.py). Each throws ModelError on a missing, unknown or
// mistyped field.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "base/json_reader.hpp"
#include "bundle/bundle.hpp"
#include "bundle/certificate.hpp"
#include "bundle/model_file.hpp"
#include "bundle/profile.hpp"
#include "bundle/prompt_encoding.hpp"
#include "bundle/trained_prompts.hpp"

namespace medsam {

/// `where` names the profile in messages.
Profile parse_profile(const Json& json, const std::string& where);

/// The rules by the names that a profile's JSON has for them.
Json named(const ImageRules& rules);

/// `max_frame`: the largest side of the frame.
PromptEncoding parse_prompt(ObjectReader prompt, std::int64_t max_frame);

/// Reads the manifest's field `trained_prompts`. Also ModelError where it lists nothing that the graphs accept.
TrainedPrompts parse_trained_prompts(ObjectReader& manifest, const PromptEncoding& encoding);

/// Reads one entry of the manifest's list of certificates.
Certificate parse_certificate(const Json& json, const std::string& where);

using Models = std::map<std::string, ModelFile>;  // by their names in the manifest

/// ModelError unless the field is a list of `least` to 64.
void check_list(const ObjectReader& reader, const char* field, const Json& list, std::size_t least = 0);

/// Reads one model, without its name and role, and checks the size of each of its files. ModelError.
ModelFile parse_model(ObjectReader reader, const std::string& folder);

/// Reads an entry of "models": the same, or the tensors alone of a model that has no graph (has_file()). ModelError.
ModelFile parse_exact_model(ObjectReader reader, const std::string& folder);

// The readers of variants: each adds those of one field of the manifest, if it has that field
// (CONTRIBUTING.md, "Recipe: a precision").

/// The graphs as they are; the backend is asked to compute them in a format. Nothing in a bundle without graphs. Reads
/// no field.
void add_exact_graphs(Bundle& bundle);

/// "f16": a second version of each of `models`, whose own types are f16.
void add_f16_graphs(ObjectReader& manifest, const Models& models, Bundle& bundle);

/// "quantized": the encoder with its large layers in int8; the entry also names the format of the other layers.
/// `bundle.models` must have been read.
void add_int8_encoder(ObjectReader& manifest, Bundle& bundle);

/// "fused": a stage's weights for this library's own kernels, all its models from one file. `bundle.models` must have
/// been read.
void add_native_models(ObjectReader& manifest, Bundle& bundle);

}  // namespace medsam
