// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "platform/library.hpp"

#include <windows.h>

#include "platform/wide_windows.hpp"

namespace medsam::platform {

std::string plugin_name(const std::string& name) { return name + ".dll"; }

std::string file_of(const void* code) {
  HMODULE module = nullptr;
  constexpr DWORD kFlags = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
  if (::GetModuleHandleExW(kFlags, static_cast<LPCWSTR>(code), &module) == 0) return "";
  std::wstring path(MAX_PATH, L'\0');
  for (;;) {
    const DWORD got = ::GetModuleFileNameW(module, path.data(), static_cast<DWORD>(path.size()));
    if (got == 0) return "";
    if (got < path.size()) {
      path.resize(got);
      return narrow(path);
    }
    path.resize(2 * path.size());  // it was cut short
  }
}

void* open_library(const std::string& path, std::string& why) {
  // What it needs in turn is looked for beside it, too, and never in the current folder. These flags want an absolute
  // path; a bare name is looked for as usual.
  const bool bare = path.find_first_of("/\\") == std::string::npos;
  constexpr DWORD kBeside = LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR | LOAD_LIBRARY_SEARCH_DEFAULT_DIRS;
  const HMODULE library = ::LoadLibraryExW(bare ? wide(path).c_str() : long_path(path).c_str(), nullptr,
                                           bare ? LOAD_LIBRARY_SEARCH_DEFAULT_DIRS : kBeside);
  if (library == nullptr) why = system_error().message();
  return library;
}

void* find_symbol(void* library, const char* name) {
  return reinterpret_cast<void*>(::GetProcAddress(static_cast<HMODULE>(library), name));
}

}  // namespace medsam::platform
