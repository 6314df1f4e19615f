// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "backends/plugin.hpp"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <vector>

#include "base/text.hpp"
#include "medsam/error.hpp"
#include "medsam/version.hpp"

namespace medsam::backends {

namespace fs = std::filesystem;

namespace {

// Where this code was loaded from: the engine's library, or a test that has it inside.
fs::path own_folder() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&open_plugin), &info) == 0 || info.dli_fname == nullptr) return ".";
  std::error_code error;
  const fs::path file = fs::canonical(info.dli_fname, error);
  return error ? fs::path(info.dli_fname).parent_path() : file.parent_path();
}

fs::path find(const PluginFile& wanted) {
  std::vector<std::string> folders;
  if (const char* named = std::getenv("MEDSAM_ENGINE_PLUGIN_DIR"); named != nullptr && *named != '\0') {
    folders.emplace_back(named);
  }
  if (folders.empty() || wanted.part_of_library) folders.push_back(own_folder().string());
  for (const std::string& folder : folders) {
    std::error_code error;
    if (fs::exists(fs::path(folder) / wanted.file, error)) return fs::path(folder) / wanted.file;
  }
  throw Unsupported(std::string(wanted.missing) + " " + wanted.file + " is not in " + joined(folders) + "; " +
                    wanted.remedy);
}

}  // namespace

const Plugin& open_plugin(const PluginFile& wanted) {
  const fs::path file = find(wanted);
  const std::string what = std::string(wanted.name) + " " + file.string();
  // Never closed: its tensors and threads may outlive every engine. A second call gets the same one from the loader.
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* why = dlerror();
    throw BackendError(what + " cannot be loaded: " + (why != nullptr ? why : "") + "; " + wanted.remedy);
  }
  const auto entry = reinterpret_cast<PluginEntry>(dlsym(library, kPluginEntry));
  const Plugin* plugin = entry != nullptr ? entry() : nullptr;
  const std::string version = plugin != nullptr ? plugin->version : "none";
  if (version != MEDSAM_ENGINE_VERSION) {
    throw BackendError(what + ": got version " + version + ", expected " + MEDSAM_ENGINE_VERSION +
                       "; install both from one build");
  }
  return *plugin;
}

}  // namespace medsam::backends
