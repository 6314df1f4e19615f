// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "backends/plugin.hpp"

#include <filesystem>
#include <vector>

#include "base/text.hpp"
#include "medsam/error.hpp"
#include "medsam/version.hpp"
#include "platform/library.hpp"
#include "platform/path.hpp"

namespace medsam::backends {

namespace fs = std::filesystem;

namespace {

// Where this code was loaded from: the engine's library, or a test that has it inside.
fs::path own_folder() {
  const std::string loaded = platform::file_of(reinterpret_cast<const void*>(&open_plugin));
  if (loaded.empty()) return ".";
  std::error_code error;
  const fs::path file = fs::canonical(platform::disk_path(loaded), error);
  return error ? platform::path_of(loaded).parent_path() : file.parent_path();
}

std::string find(const PluginFile& wanted, const std::string& name) {
  std::vector<std::string> folders;
  if (std::string named = platform::environment("MEDSAM_ENGINE_PLUGIN_DIR"); !named.empty()) {
    folders.push_back(std::move(named));
  }
  if (folders.empty() || wanted.part_of_library) folders.push_back(platform::name_of(own_folder()));
  for (const std::string& folder : folders) {
    std::error_code error;
    std::string file = platform::in_folder(folder, name);
    if (fs::exists(platform::disk_path(file), error)) return file;
  }
  throw Unsupported(std::string(wanted.missing) + " " + name + " is not in " + joined(folders) + "; " + wanted.remedy);
}

}  // namespace

const Plugin& open_plugin(const PluginFile& wanted) {
  const std::string name = platform::plugin_name(wanted.file);
  if (name.empty()) {
    throw Unsupported(
        std::string(wanted.missing) +
        " cannot be opened in WebAssembly; use a bundle without graphs, as `medsam-engine fetch` writes it");
  }
  const std::string file = find(wanted, name);
  const std::string what = std::string(wanted.name) + " " + file;
  std::string why;
  void* library = platform::open_library(file, why);
  if (library == nullptr) throw BackendError(what + " cannot be loaded: " + why + "; " + wanted.needed);
  const auto entry = reinterpret_cast<PluginEntry>(platform::find_symbol(library, kPluginEntry));
  const Plugin* plugin = entry != nullptr ? entry() : nullptr;
  const std::string version = plugin != nullptr ? plugin->version : "none";
  if (version != MEDSAM_ENGINE_VERSION) {
    throw BackendError(what + ": got version " + version + ", expected " + MEDSAM_ENGINE_VERSION +
                       "; install both from one build");
  }
  return *plugin;
}

}  // namespace medsam::backends
