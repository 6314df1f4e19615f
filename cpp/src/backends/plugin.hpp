// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A backend in a shared library of its own, so that the engine itself needs none of its vendor's libraries and a
// process that does not use it does not load them. Both sides are built from one tree by one compiler: a plugin of
// another version is refused.
#pragma once

#include <memory>
#include <string>

#include "backends/backend.hpp"

namespace medsam::backends {

/// What a plugin exports under the name kPluginEntry: a function without arguments that returns this table.
struct Plugin {
  const char* version;  // MEDSAM_ENGINE_VERSION of the tree it was built from
  /// The backend of a device of the plugin's, by its name in EngineOptions::device in the usual spelling. Unsupported,
  /// in one line, where the vendor's library, the driver or the device is missing; no exception of the vendor's.
  std::unique_ptr<Backend> (*create)(const std::string& device);
};
using PluginEntry = const Plugin* (*)();
/// With a number that is raised when Plugin or backend.hpp becomes another within one version: a plugin of before is
/// then refused.
inline constexpr const char* kPluginEntry = "medsam_engine_plugin_2";

/// A plugin by its file, and the words of its errors.
struct PluginFile {
  const char* file;     // "medsam_engine_tensorrt", a file under platform::plugin_name() of it
  const char* name;     // "CUDA plugin"
  const char* missing;  // how the line begins that says where it is not: "device: got ..., but the CUDA plugin"
  const char* remedy;   // what can be done without it
  const char* needed;   // what can be done where it is there and the loader does not find what it needs
  bool part_of_library = false;  // whether every installation has it beside the library
};

/// Opens a plugin, once per process, and never closes it: from the folder $MEDSAM_ENGINE_PLUGIN_DIR, else from beside
/// this library. With the variable set, what lies beside the library serves only where it is part of it. Unsupported
/// when it is not there, BackendError when it cannot be loaded or is another version's. Thread-safe.
const Plugin& open_plugin(const PluginFile& wanted);

}  // namespace medsam::backends
