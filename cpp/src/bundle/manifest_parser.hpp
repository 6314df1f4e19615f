// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The parsers of the manifest's parts, each defined beside what it reads. A header of its own, because no other of the
// engine's headers includes JSON (scripts/check_sources.py). Each throws ModelError on a missing, unknown or mistyped
// field.
#pragma once

#include <cstdint>
#include <string>

#include "base/json_reader.hpp"
#include "bundle/certificate.hpp"
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

}  // namespace medsam
