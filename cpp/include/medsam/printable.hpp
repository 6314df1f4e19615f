// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Makes text from files or callers safe to show on a terminal, in a log and in a table.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "medsam/export.hpp"

namespace medsam {

/// Returns `text` as one line of printable UTF-8 of at most `most_bytes` bytes. Control characters (C0, DEL, C1), line
/// and paragraph separators, and characters that are invisible or reorder their neighbors become \n, \r, \t, \xNN or
/// \u{NNNN}; bytes that are not UTF-8 become \xNN. If the result would be too long, " [...] " replaces its middle.
/// Printable text is returned unchanged (including backslashes), so that applying this twice has no further effect.
///
/// The messages of errors and of EngineOptions::log, and the cells of FolderOptions::csv, are already printable. A host
/// needs this function for other text that it shows, such as CaseReport::name, which is the unchanged name of a file.
/// `most_bytes` below 64 counts as 64. Thread-safe. Throws std::bad_alloc.
[[nodiscard]] MEDSAM_ENGINE_EXPORT std::string printable(std::string_view text, std::size_t most_bytes = 2000);

}  // namespace medsam
