// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Shared libraries that are opened at run time. Paths are UTF-8.
#pragma once

#include <string>

namespace medsam::platform {

/// How the system names a library that is opened at run time: "libNAME.so", "NAME.dll". The name that CMake gives a
/// MODULE. "" where there are no such libraries, as in WebAssembly.
std::string plugin_name(const std::string& name);

/// The library or program in which `code` lies, as the loader was given it; "" where it does not say.
std::string file_of(const void* code);

/// Opens a library, none of whose names become visible to others; null, and why, when it cannot be. A second call gives
/// the same one. It is never closed: what it made may outlive every caller.
void* open_library(const std::string& path, std::string& why);
/// Null when it exports no such name.
void* find_symbol(void* library, const char* name);

}  // namespace medsam::platform
