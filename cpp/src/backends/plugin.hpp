// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A backend in a shared library of its own, so that the engine itself needs none of its vendor's libraries. Both sides
// are built from one tree by one compiler: a plugin of another version is refused.
#pragma once

#include <memory>
#include <string>

#include "backends/backend.hpp"

namespace medsam::backends {

/// What a plugin exports as `medsam_engine_plugin`: a function without arguments that returns this table.
struct Plugin {
  const char* version;  // MEDSAM_ENGINE_VERSION of the tree it was built from
  /// Unsupported, in one line, where the vendor's library, the driver or the device is missing.
  std::unique_ptr<Backend> (*create)(int device);
};
using PluginEntry = const Plugin* (*)();
inline constexpr const char* kPluginEntry = "medsam_engine_plugin";

/// Loads the plugin for CUDA devices: from $MEDSAM_ENGINE_PLUGIN_DIR, else from beside this library. Unsupported when
/// it is not there, BackendError when it cannot be loaded.
const Plugin& cuda_plugin();

/// What a CUDA device is called: "cuda" or "cuda:N". Its number, or -1 for another device's name.
int cuda_index(const std::string& device);

}  // namespace medsam::backends
