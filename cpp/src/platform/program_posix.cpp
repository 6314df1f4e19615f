// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "platform/program.hpp"

#include <pwd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>

#include "platform/path.hpp"

namespace medsam::platform {

namespace {

std::string home_folder() {
  if (std::string home = environment("HOME"); !home.empty()) return home;
  const ::passwd* user = ::getpwuid(::getuid());
  return user == nullptr ? "/" : user->pw_dir;
}

}  // namespace

std::vector<std::string> program_words(int count, const char* const* words) {
  return count > 0 ? std::vector<std::string>(words + 1, words + count) : std::vector<std::string>();
}

bool errors_go_to_terminal() { return ::isatty(STDERR_FILENO) == 1; }

std::string user_data_folder() {
  // The XDG specification says to ignore a relative path.
  if (std::string xdg = environment("XDG_DATA_HOME"); path_of(xdg).is_absolute()) return xdg;
  return in_folder(in_folder(home_folder(), ".local"), "share");
}

void survive_file_size_limit() { std::signal(SIGXFSZ, SIG_IGN); }

void crash_quietly() {
  const ::rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
}

}  // namespace medsam::platform
