// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// There are no processes in WebAssembly, and so neither forks nor programs that are run apart.
#include "platform/process.hpp"

namespace medsam::platform {

ProcessId process_id() { return 1; }

void lock_around_fork(std::mutex&) {}

std::string machine_identity() { return "unknown"; }

bool is_program(const std::string&) { return false; }

std::string program_name(const std::string& name) { return name; }

std::error_code run_apart(const Program&, Outcome&) { return std::make_error_code(std::errc::function_not_supported); }

}  // namespace medsam::platform
