// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "bundle_folder.hpp"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "medsam/error.hpp"
#include "platform/path.hpp"
#include "platform/program.hpp"

namespace medsam::apps {

namespace fs = std::filesystem;

namespace {

constexpr char kDefaultModel[] = "litemedsam";

std::string bundles_folder() {
  return platform::in_folder(platform::in_folder(platform::user_data_folder(), "medsam-engine"), "bundles");
}

}  // namespace

std::string bundle_folder(const std::string& named) {
  if (!named.empty()) return named;
  if (std::string variable = platform::environment("MEDSAM_ENGINE_BUNDLE"); !variable.empty()) return variable;
  const std::string folder = bundles_folder();
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator it(platform::disk_path(folder), error);
  for (const fs::directory_iterator end; !error && it != end; it.increment(error)) {
    std::error_code absent;
    if (fs::exists(it->path() / "manifest.json", absent)) names.push_back(platform::name_of(it->path().filename()));
  }
  std::sort(names.begin(), names.end());
  if (std::find(names.begin(), names.end(), kDefaultModel) != names.end())
    return platform::in_folder(folder, kDefaultModel);
  if (names.size() == 1) return platform::in_folder(folder, names[0]);
  std::string got;
  for (const std::string& name : names) got += (got.empty() ? "" : ", ") + name;
  throw ModelError("bundle: got none named and " + (got.empty() ? "none" : got) + " in " + folder +
                   ", expected one; name a folder, set MEDSAM_ENGINE_BUNDLE, or run `medsam-engine fetch " +
                   kDefaultModel + "`");
}

}  // namespace medsam::apps
