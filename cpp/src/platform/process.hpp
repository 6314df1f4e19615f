// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// This process, this machine, and programs that this process starts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <system_error>
#include <vector>

namespace medsam::platform {

using ProcessId = std::int64_t;
/// Of this process; another one in a child after fork.
ProcessId process_id();

/// Keeps `mutex` locked through every fork, so that a child gets it unlocked and what it guards whole. Does nothing
/// where there is no fork. For one mutex, which lives as long as the process.
void lock_around_fork(std::mutex& mutex);

/// What tells this installation of a system from any other: systemd's machine id, or the host's name; MachineGuid on
/// Windows. "unknown" where there is none.
std::string machine_identity();

/// Whether there is a program under this path that this process may start.
bool is_program(const std::string& path);
/// The file name of a program: NAME, or NAME.exe.
std::string program_name(const std::string& name);

/// A program to be run apart.
struct Program {
  std::string path;                // UTF-8, as the words
  std::vector<std::string> words;  // without the program's own name
  std::string variable;            // "NAME=1": set for it, in place of what this process' environment has
};
/// What became of it.
struct Outcome {
  std::string output;  // the last of what it wrote to its standard output, a MiB at most
  std::string crash;   // how it was ended, "signal 8" or "exception 0xC0000094"; "" when it ended by itself, or when
                       // the host collected its status first
};
/// Runs a program to its end, which is waited for without limit, with neither input nor standard error. No shell is in
/// between, and neither a host that ignores SIGCHLD nor one that waits for any child is in the way. It inherits the
/// environment and, except on Windows, the working folder, the limits, the signal mask and files of the host's own that
/// are not marked to be closed. Safe to call from many threads. An error when it cannot be started.
std::error_code run_apart(const Program& program, Outcome& outcome);

}  // namespace medsam::platform
