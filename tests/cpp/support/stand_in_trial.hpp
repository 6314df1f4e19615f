// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A shell script in the place of medsam-trial, the program that tries a graph in a process of its own.
#pragma once

#include <filesystem>
#include <string>

#include "support/system.hpp"
#include "support/tiny_bundle.hpp"

namespace medsam::testing {

/// As long as it lives, the library starts this script.
class StandInTrial {
 public:
  /// `script`: what the shell runs; "$@" are the program's arguments.
  explicit StandInTrial(const std::string& script = "echo 'medsam-trial: ok'") {
    write(script);
    set_environment("MEDSAM_ENGINE_HELPER_DIR", folder_.path());
  }
  ~StandInTrial() { unset_environment("MEDSAM_ENGINE_HELPER_DIR"); }
  StandInTrial(const StandInTrial&) = delete;
  StandInTrial& operator=(const StandInTrial&) = delete;

  void write(const std::string& script) const {
    const std::string program = folder_.path("medsam-trial");
    write_file(program, "#!/bin/sh\necho run >> '" + folder_.path("runs") + "'\n" + script + "\n");
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  }
  /// As if it had not been installed.
  void remove() const { std::filesystem::remove(folder_.path("medsam-trial")); }
  /// How often it was started.
  [[nodiscard]] int runs() const {
    std::ifstream file(folder_.path("runs"));
    int count = 0;
    for (std::string line; std::getline(file, line);) ++count;
    return count;
  }
  [[nodiscard]] std::string path(const std::string& name) const { return folder_.path(name); }

 private:
  TemporaryFolder folder_;
};

}  // namespace medsam::testing
