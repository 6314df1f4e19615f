// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include <cstdlib>

#include "platform/path.hpp"

namespace medsam::platform {

std::filesystem::path path_of(const std::string& name) { return name; }

std::string name_of(const std::filesystem::path& path) { return path.string(); }

std::filesystem::path disk_path(const std::string& name) { return name; }

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string user_cache_folder() {
  // A relative path there is invalid and to be ignored (XDG Base Directory Specification 0.8, "Basics").
  if (std::string xdg = environment("XDG_CACHE_HOME"); path_of(xdg).is_absolute()) return xdg;
  const std::string home = environment("HOME");
  return home.empty() ? "" : home + "/.cache";
}

}  // namespace medsam::platform
