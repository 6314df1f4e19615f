// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What this library's own programs ask of the system. The library itself asks for none of it: a host decides that.
#pragma once

#include <string>
#include <vector>

namespace medsam::platform {

/// The words behind the program's name, in UTF-8. From then on what is written is shown as UTF-8, and lines end as they
/// are written. To be called once, by main.
std::vector<std::string> program_words(int count, const char* const* words);

/// Whether standard error is a terminal that understands the escape sequence "erase to the end of the line".
bool errors_go_to_terminal();

/// The folder in which each program keeps what the user has: $XDG_DATA_HOME, or .local/share in the user's own folder.
std::string user_data_folder();

/// A limit of a file's size is from now on an error of the write, and does not end the process (SIGXFSZ).
void survive_file_size_limit();

/// A crash of this process is nobody's business: no core file and no window that waits for an answer.
void crash_quietly();

}  // namespace medsam::platform
