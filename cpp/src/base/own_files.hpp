// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Files that only the user of this process may have written: what the caches and the embedding store hold. No link is
// followed, nothing but a regular file is opened, and nothing waits for another process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "platform/file.hpp"

namespace medsam {

/// A regular file of this user, open to be read, and its size.
struct OwnFile {
  platform::File file;
  std::uint64_t size = 0;
  std::string fault;  // why it was not opened; "" when it was, or when there is none
};

/// Opens a file of at most `limit` bytes.
OwnFile open_own_file(const std::string& path, std::uint64_t limit);

/// The content of an open file. False when fewer bytes come than its size said.
bool read_own_file(const OwnFile& file, std::string& content);

/// Makes a folder for this user alone (mode 0700) unless there is one, its parents with the usual mode, and says what
/// is wrong with it: "" when it belongs to this user and nobody else may write to it (platform/folder.hpp).
std::string fault_of_own_folder(const std::string& path);

}  // namespace medsam
