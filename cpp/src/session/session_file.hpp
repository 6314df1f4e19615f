// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The objects of a session as a file: docs/session_file.md.
#pragma once

#include <string>

#include "session/state.hpp"

namespace medsam::session {

/// The text of a file: the objects with their prompts and masks, and its digest. `pixels` is the digest of the pixels.
std::string session_text(const State& state, const Grid& grid, const std::string& pixels);

/// The inverse. InvalidArgument: no session file, a damaged one, or one of other pixels. Trusts no number of the text.
State session_of(const std::string& text, const Grid& grid, const std::string& pixels);

/// Writes such a text to a file, whole or not at all, and reads one. InvalidArgument.
void write_session(const std::string& path, const std::string& text);
std::string read_session(const std::string& path);

}  // namespace medsam::session
