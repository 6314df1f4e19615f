// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "platform/library.hpp"

#include <dlfcn.h>

namespace medsam::platform {

std::string plugin_name(const std::string& name) { return "lib" + name + ".so"; }

std::string file_of(const void* code) {
  Dl_info info{};
  return ::dladdr(code, &info) != 0 && info.dli_fname != nullptr ? info.dli_fname : "";
}

void* open_library(const std::string& path, std::string& why) {
  void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library != nullptr) return library;
  const char* said = ::dlerror();
  why = said != nullptr ? said : "";
  return nullptr;
}

void* find_symbol(void* library, const char* name) { return ::dlsym(library, name); }

}  // namespace medsam::platform
