// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A module of WebAssembly opens no other.
#include "platform/library.hpp"

namespace medsam::platform {

std::string plugin_name(const std::string&) { return ""; }

std::string file_of(const void*) { return ""; }

void* open_library(const std::string&, std::string& why) {
  why = "WebAssembly has no plugins, native models alone run there";
  return nullptr;
}

void* find_symbol(void*, const char*) { return nullptr; }

}  // namespace medsam::platform
