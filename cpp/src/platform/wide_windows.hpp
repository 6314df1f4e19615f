// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What the Windows sources of this room share: text in UTF-16, and the last error.
#pragma once

#include <string>
#include <system_error>

namespace medsam::platform {

/// UTF-8 as UTF-16 and back; what is malformed becomes U+FFFD.
std::wstring wide(const std::string& text);
std::string narrow(const std::wstring& text);

/// A path for the calls that end in W, with the prefix that lifts the limit of 260 units where it needs it.
std::wstring long_path(const std::string& name);

/// The same path as a name of this library, without that prefix.
std::string without_prefix(const std::wstring& path);

/// What GetLastError() says.
std::error_code system_error();

}  // namespace medsam::platform
