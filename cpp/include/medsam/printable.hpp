// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Text that came from a file or a caller, made fit for a terminal, a log and a table.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "medsam/export.hpp"

namespace medsam {

/// `text` as one line of printable UTF-8 of at most `most_bytes` bytes. Control characters (C0, DEL, C1), line and
/// paragraph separators, and characters that are invisible or reorder what is around them become \n, \r, \t, \xNN or
/// \u{NNNN}; bytes that are not UTF-8 become \xNN. Where the result would be longer, its middle gives way to " [...] ".
/// Printable text is returned as it is (a backslash, too), so that applying this twice changes nothing.
///
/// The messages of errors, of EngineOptions::log and the cells of FolderOptions::csv have been through this already;
/// a host needs it for what it shows itself, such as CaseReport::name, which is a file's name as it is.
/// `most_bytes` of less than 64 counts as 64. Thread-safe. std::bad_alloc.
[[nodiscard]] MEDSAM_ENGINE_EXPORT std::string printable(std::string_view text, std::size_t most_bytes = 2000);

}  // namespace medsam
