// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#pragma once

#include <string>
#include <vector>

#include "medsam/folder.hpp"

namespace medsam::npz {

/// Refuses, before any work, a run whose answers to `names` or whose table of times would replace a case, an answer or
/// anything of FolderOptions::also_read. Files are compared as the file system sees them, so through links and hard
/// links. InvalidArgument, naming both.
void check_outputs(const FolderOptions& options, const std::vector<std::string>& names);

}  // namespace medsam::npz
