// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Names of files and values of the environment: UTF-8 everywhere in this library, and the system's own form here.
#pragma once

#include <filesystem>
#include <string>

namespace medsam::platform {

/// A name in UTF-8 as the standard library takes it. On POSIX the bytes as they are; on Windows std::filesystem would
/// take a narrow string for the ANSI code page, so that no name outside it could be opened.
std::filesystem::path path_of(const std::string& name);
/// The other way round, without a prefix for long paths.
std::string name_of(const std::filesystem::path& path);

/// path_of() for what goes to the disk, as directory_iterator does: on Windows absolute and with the prefix that lifts
/// the limit of 260 units from it and from what is in it, so that it is to be opened and not to be taken apart.
std::filesystem::path disk_path(const std::string& name);

/// The name of `name`, which has no folder of its own, in a folder. Windows takes either separator.
inline std::string in_folder(const std::string& folder, const std::string& name) {
  return folder.empty() || folder.back() == '/' ? folder + name : folder + "/" + name;
}
/// The last part of a name.
inline std::string file_name(const std::string& name) { return name_of(path_of(name).filename()); }

/// The value of an environment variable, in UTF-8; "" where it is not set.
std::string environment(const char* name);

/// The folder that is the user's for what can be made again, in which each program has a folder of its own:
/// $XDG_CACHE_HOME or ~/.cache, %LOCALAPPDATA% on Windows; "" where the environment names none.
std::string user_cache_folder();

}  // namespace medsam::platform
