// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "bundle_folder.hpp"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "medsam/error.hpp"

namespace medsam::apps {

namespace fs = std::filesystem;

namespace {

constexpr char kDefaultModel[] = "litemedsam";

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

fs::path home_folder() {
  if (std::string home = environment("HOME"); !home.empty()) return home;
  const ::passwd* user = ::getpwuid(::getuid());
  return user == nullptr ? "/" : user->pw_dir;
}

fs::path bundles_folder() {
  // The XDG specification says to ignore a relative path.
  const fs::path data_home = environment("XDG_DATA_HOME");
  return (data_home.is_absolute() ? data_home : home_folder() / ".local" / "share") / "medsam-engine" / "bundles";
}

}  // namespace

std::string bundle_folder(const std::string& named) {
  if (!named.empty()) return named;
  if (std::string variable = environment("MEDSAM_ENGINE_BUNDLE"); !variable.empty()) return variable;
  const fs::path folder = bundles_folder();
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator it(folder, error);
  for (const fs::directory_iterator end; !error && it != end; it.increment(error)) {
    std::error_code absent;
    if (fs::exists(it->path() / "manifest.json", absent)) names.push_back(it->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  if (std::find(names.begin(), names.end(), kDefaultModel) != names.end()) return (folder / kDefaultModel).string();
  if (names.size() == 1) return (folder / names[0]).string();
  std::string got;
  for (const std::string& name : names) got += (got.empty() ? "" : ", ") + name;
  throw ModelError("bundle: got none named and " + (got.empty() ? "none" : got) + " in " + folder.string() +
                   ", expected one; name a folder, set MEDSAM_ENGINE_BUNDLE, or run `medsam-engine fetch " +
                   kDefaultModel + "`");
}

}  // namespace medsam::apps
