// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "backends/plugin.hpp"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include "backends/registry.hpp"
#include "medsam/error.hpp"
#include "medsam/version.hpp"

namespace medsam::backends {

namespace fs = std::filesystem;

namespace {

constexpr const char* kCudaPlugin = "libmedsam_engine_tensorrt.so";
constexpr const char* kRemedy = "; use device \"CPU\", or see docs/gpu.md";

// Where this code was loaded from: the engine's library, or a test that has it inside.
fs::path own_folder() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&cuda_plugin), &info) == 0 || info.dli_fname == nullptr) return ".";
  std::error_code error;
  const fs::path file = fs::canonical(info.dli_fname, error);
  return error ? fs::path(info.dli_fname).parent_path() : file.parent_path();
}

const Plugin& load(const fs::path& file) {
  // Never closed: its tensors and threads may outlive every engine.
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* why = dlerror();
    throw BackendError("CUDA plugin " + file.string() + " cannot be loaded: " + (why != nullptr ? why : "") + kRemedy);
  }
  const auto entry = reinterpret_cast<PluginEntry>(dlsym(library, kPluginEntry));
  const Plugin* plugin = entry != nullptr ? entry() : nullptr;
  const std::string version = plugin != nullptr ? plugin->version : "none";
  if (version != MEDSAM_ENGINE_VERSION) {
    throw BackendError("CUDA plugin " + file.string() + ": got version " + version + ", expected " +
                       MEDSAM_ENGINE_VERSION + "; install both from one build");
  }
  return *plugin;
}

}  // namespace

int cuda_index(const std::string& device) {
  if (device == "cuda") return 0;
  const std::string prefix = "cuda:";
  const bool numbered = device.starts_with(prefix) && device.size() > prefix.size() && device.size() <= 8 &&
                        device.find_first_not_of("0123456789", prefix.size()) == std::string::npos;
  return numbered ? std::stoi(device.substr(prefix.size())) : -1;
}

const Plugin& cuda_plugin() {
  const char* named = std::getenv("MEDSAM_ENGINE_PLUGIN_DIR");
  const fs::path folder = named != nullptr && *named != '\0' ? fs::path(named) : own_folder();
  std::error_code error;
  const fs::path file = folder / kCudaPlugin;
  if (!fs::exists(file, error)) {
    throw Unsupported("device: got a CUDA device, but the CUDA plugin " + std::string(kCudaPlugin) + " is not in " +
                      folder.string() + kRemedy);
  }
  return load(file);
}

std::unique_ptr<Backend> create_cuda(const std::string& device) {
  if (!device.starts_with("cuda")) return nullptr;
  const int index = cuda_index(device);
  if (index < 0) {
    throw Unsupported("device: got \"" + device.substr(0, 40) + "\", expected \"cuda\" or \"cuda:N\", N from 0");
  }
  return cuda_plugin().create(index);
}

}  // namespace medsam::backends
