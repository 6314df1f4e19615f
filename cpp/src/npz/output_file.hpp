// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Files that are there whole or not at all: a temporary in the same folder, flushed to disk, then renamed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace medsam::npz {

/// Writes the pieces, one behind the other, as `path`; replaces what is there. Unsupported, naming the reason, when the
/// disk or its permissions do not allow it; then nothing is left behind and what was there before still is.
void write_file_atomically(const std::string& path, const std::vector<std::string_view>& pieces);

/// Removes temporaries that killed processes of this machine left in `folder`. Those of live ones stay.
void remove_abandoned_temporaries(const std::string& folder);

}  // namespace medsam::npz
