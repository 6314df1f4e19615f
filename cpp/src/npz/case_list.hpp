// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Which cases a folder run has to do.
#pragma once

#include <string>
#include <vector>

#include "medsam/folder.hpp"

namespace medsam::npz {

struct CaseList {
  std::vector<std::string> pending;  ///< File names, sorted.
  std::vector<CaseReport> settled;   ///< Skipped, or failed for what lies in the output folder.
};

/// Makes the output folder, clears what killed runs left in it, and lists the input. InvalidArgument as FolderRun.
CaseList list_cases(const FolderOptions& options);

}  // namespace medsam::npz
