// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#pragma once

#include <filesystem>
#include <string>

namespace medsam::npz {

/// What every temporary ends in, here and in python/medsam_engine/base/whole_file.py.
inline constexpr const char* kTemporarySuffix = ".medsam-tmp";

/// A new file ".NAME.RANDOM.medsam-tmp" beside `target`, hidden from *.npz, with a lock on it where the file system has
/// locks.
struct LockedTemporary {
  int descriptor = -1;  ///< The caller closes it, which gives up the lock.
  std::filesystem::path path;
};

/// Makes one. On failure its descriptor is -1 and errno says why.
LockedTemporary make_temporary(const std::filesystem::path& target);

}  // namespace medsam::npz
