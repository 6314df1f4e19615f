// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Reads the manifest's entries of models.
#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "base/json_reader.hpp"
#include "bundle/model_file.hpp"

namespace medsam {

using Models = std::map<std::string, ModelFile>;  // by their names in the manifest

/// ModelError unless the field is a list of `least` to 64.
void check_list(const ObjectReader& reader, const char* field, const Json& list, std::size_t least = 0);

/// Reads one model, without its name and role, and checks the size of each of its files. ModelError.
ModelFile parse_model(ObjectReader reader, const std::string& folder);

}  // namespace medsam
