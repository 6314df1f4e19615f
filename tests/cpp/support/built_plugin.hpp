// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The CUDA plugin of this build and the TensorRT library that CMake found, for the tests of a machine that has them.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include "support/system.hpp"

namespace medsam::testing {

/// Sets an environment variable for the life of the object.
class ScopedVariable {
 public:
  ScopedVariable(const char* name, const std::string& value) : name_(name) {
    const char* old = std::getenv(name);
    had_ = old != nullptr;
    if (had_) old_ = old;
    set_environment(name, value);
  }
  ~ScopedVariable() {
    if (had_) {
      set_environment(name_, old_);
    } else {
      unset_environment(name_);
    }
  }
  ScopedVariable(const ScopedVariable&) = delete;
  ScopedVariable& operator=(const ScopedVariable&) = delete;

 private:
  const char* name_;
  bool had_;
  std::string old_;
};

/// $MEDSAM_ENGINE_PLUGIN_DIR (the stand-in's, see CMakeLists.txt), else where the build put the plugin; "" when it was
/// not built.
inline std::string plugin_folder() {
  if (const char* named = std::getenv("MEDSAM_ENGINE_PLUGIN_DIR"); named != nullptr) return named;
#ifdef MEDSAM_ENGINE_TEST_PLUGIN_DIR
  return MEDSAM_ENGINE_TEST_PLUGIN_DIR;
#else
  return "";
#endif
}

/// Where the TensorRT libraries are: $TENSORRT_ROOT, unless it has the headers alone, else the Python package that
/// CMake found; "" for neither.
inline std::string tensorrt_folder() {
  const char* named = std::getenv("TENSORRT_ROOT");
  if (named != nullptr && std::filesystem::exists(std::filesystem::path(named) / "lib")) return named;
#ifdef MEDSAM_ENGINE_TEST_TENSORRT_DIR
  return MEDSAM_ENGINE_TEST_TENSORRT_DIR;
#else
  return "";
#endif
}

}  // namespace medsam::testing
