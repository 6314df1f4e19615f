// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#pragma once

#include <string>

namespace medsam {

/// SHA-256 of bytes, 64 lower-case hex digits.
std::string sha256_hex(const std::string& bytes);

/// SHA-256 of a file's content, 64 lower-case hex digits. ModelError when it cannot be read.
std::string sha256_file(const std::string& path);

}  // namespace medsam
