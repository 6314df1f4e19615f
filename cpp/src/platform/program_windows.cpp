// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "platform/program.hpp"

#include <fcntl.h>
#include <io.h>
#include <windows.h>

#include <shellapi.h>

#include <cstdio>

#include "platform/path.hpp"
#include "platform/wide_windows.hpp"

namespace medsam::platform {

// main's own words are in the ANSI code page, which has no place for most names.
std::vector<std::string> program_words(int count, const char* const* words) {
  ::SetConsoleOutputCP(CP_UTF8);
  ::_setmode(::_fileno(stdout), _O_BINARY);  // else a line feed becomes two characters
  std::vector<std::string> out;
  int wide_count = 0;
  wchar_t** wide_words = ::CommandLineToArgvW(::GetCommandLineW(), &wide_count);
  if (wide_words == nullptr) {
    for (int i = 1; i < count; ++i) out.emplace_back(words[i]);
    return out;
  }
  for (int i = 1; i < wide_count; ++i) out.push_back(narrow(wide_words[i]));
  ::LocalFree(wide_words);
  return out;
}

bool errors_go_to_terminal() {
  const HANDLE errors = ::GetStdHandle(STD_ERROR_HANDLE);
  DWORD mode = 0;
  return ::GetConsoleMode(errors, &mode) != 0 &&
         ::SetConsoleMode(errors, mode | ENABLE_VIRTUAL_TERMINAL_PROCESSING) != 0;
}

// The same names as elsewhere, as python/medsam_engine/paths.py has them.
std::string user_data_folder() {
  if (std::string xdg = environment("XDG_DATA_HOME"); path_of(xdg).is_absolute()) return xdg;
  return in_folder(in_folder(environment("USERPROFILE"), ".local"), "share");
}

void survive_file_size_limit() {}  // there is none

void crash_quietly() { ::SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX); }

}  // namespace medsam::platform
