// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The files that a run writes, whole or not at all (base/whole_file.hpp), and what killed runs left behind.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace medsam::npz {

/// Writes the pieces, one behind the other, as `path`; replaces what is there. Unsupported, naming the reason, when the
/// disk or its permissions do not allow it; then nothing is left behind and what was there before still is.
void write_file_atomically(const std::string& path, const std::vector<std::string_view>& pieces);

/// Who says that a temporary has been abandoned.
enum class Abandoned {
  by_lock,  ///< A local disk: the lock is free.
  by_age,   ///< Elsewhere another machine's locks may not be seen: hours old by the file server's own clock.
  by_disk,  ///< Whichever of the two the folder's file system allows.
};

/// Removes temporaries that killed processes left in `folder`, of this writer and of the Python package's. Those whose
/// lock is held stay, and so does everything that is not known to be abandoned.
void remove_abandoned_temporaries(const std::string& folder, Abandoned rule = Abandoned::by_disk);

}  // namespace medsam::npz
