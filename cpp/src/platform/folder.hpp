// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Folders as the system has them: whose they are, who may write to them, and where they lie. Paths are UTF-8.
#pragma once

#include <string>
#include <system_error>

namespace medsam::platform {

/// Makes a folder with the rights that one usually gets there, and the folders that it is to be in; no error where
/// there is a folder already.
std::error_code make_folders(const std::string& path);

/// Makes a folder that this user alone may look into; no error where there is one of any kind. Its parents are there.
std::error_code make_own_folder(const std::string& path);

/// Why a folder is not this user's alone to write to, or cannot be read and written by this process; "" when it is. A
/// group may write where it is the user's own (its number is the user's, as most Linux systems set one up).
std::string fault_of_folder(const std::string& path);

/// Whether files can be made in a folder, and its files can be listed.
bool is_usable_folder(const std::string& path);

/// A new folder in the temporary folder ($TMPDIR; the user's own on Windows) for this user alone; "" and why, where
/// none can be made.
std::string make_temporary_folder(std::error_code& error);

/// Whether a folder lies on a disk of this machine, so that every process that can see it sees the same locks. File
/// systems that are not known are not.
bool is_on_local_disk(const std::string& path);

}  // namespace medsam::platform
