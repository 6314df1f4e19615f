// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include <windows.h>

#include "platform/path.hpp"
#include "platform/wide_windows.hpp"

namespace medsam::platform {

std::wstring wide(const std::string& text) {
  if (text.empty()) return {};
  const int bytes = static_cast<int>(text.size());
  const int count = ::MultiByteToWideChar(CP_UTF8, 0, text.data(), bytes, nullptr, 0);
  std::wstring out(static_cast<std::size_t>(count), L'\0');
  ::MultiByteToWideChar(CP_UTF8, 0, text.data(), bytes, out.data(), count);
  return out;
}

std::string narrow(const std::wstring& text) {
  if (text.empty()) return {};
  const int units = static_cast<int>(text.size());
  const int count = ::WideCharToMultiByte(CP_UTF8, 0, text.data(), units, nullptr, 0, nullptr, nullptr);
  std::string out(static_cast<std::size_t>(count), '\0');
  ::WideCharToMultiByte(CP_UTF8, 0, text.data(), units, out.data(), count, nullptr, nullptr);
  return out;
}

namespace {

// Without the prefix a path has at most 259 units; with it Windows takes it as it is, so that it has to be absolute and
// its separators backslashes ("Naming Files, Paths, and Namespaces").
std::wstring prefixed(const std::string& name, std::size_t shortest) {
  const std::wstring text = wide(name);
  if (text.starts_with(L"\\\\?\\") || text.starts_with(L"\\\\.\\")) return text;
  const DWORD wanted = ::GetFullPathNameW(text.c_str(), 0, nullptr, nullptr);
  std::wstring full(wanted, L'\0');
  const DWORD got = wanted == 0 ? 0 : ::GetFullPathNameW(text.c_str(), wanted, full.data(), nullptr);
  if (got == 0 || got >= wanted) return text;
  full.resize(got);
  if (full.size() < shortest || full.starts_with(L"\\\\.\\")) return full;
  return full.starts_with(L"\\\\") ? L"\\\\?\\UNC" + full.substr(1) : L"\\\\?\\" + full;
}

}  // namespace

// 12: a folder must leave room for a name of 8.3.
std::wstring long_path(const std::string& name) { return prefixed(name, MAX_PATH - 12); }

std::string without_prefix(const std::wstring& path) {
  if (path.starts_with(L"\\\\?\\UNC\\")) return "\\\\" + narrow(path.substr(8));
  return narrow(path.starts_with(L"\\\\?\\") ? path.substr(4) : path);
}

std::error_code system_error() { return {static_cast<int>(::GetLastError()), std::system_category()}; }

std::filesystem::path path_of(const std::string& name) { return wide(name); }

std::string name_of(const std::filesystem::path& path) { return without_prefix(path.wstring()); }

std::filesystem::path disk_path(const std::string& name) { return prefixed(name, 0); }

std::string environment(const char* name) {
  const std::wstring variable = wide(name);
  std::wstring value;
  // The value may become longer between the two calls.
  for (DWORD wanted = ::GetEnvironmentVariableW(variable.c_str(), nullptr, 0); wanted > value.size();) {
    value.resize(wanted);
    wanted = ::GetEnvironmentVariableW(variable.c_str(), value.data(), wanted);
    if (wanted < value.size()) {
      value.resize(wanted);
      return narrow(value);
    }
  }
  return "";
}

std::string user_cache_folder() { return environment("LOCALAPPDATA"); }

}  // namespace medsam::platform
