// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// OpenVINO's low-precision pass divides by zero on some quantised graphs, and SIGFPE ends the process. Where no
// certificate says that a graph was run before, it is loaded and run once in a process of its own (cpp/apps/
// medsam_trial.cpp), so that only that one ends.
#pragma once

#include <string>

#include "backends/backend.hpp"
#include "bundle.hpp"
#include "cache_folder.hpp"
#include "certificate.hpp"
#include "medsam/engine.hpp"

namespace medsam {

/// Whether a choice of precisions must be tried apart: an int8 encoder that no certificate covers.
bool needs_trial(const StagePrecisions& chosen, const std::vector<std::string>& certified);

/// Tries the bundle apart; the cache remembers a success for this very graph, library, device and version. BackendError
/// when the other process ended before it had an answer; Unsupported when its program is not installed. An error that
/// the other process met as an exception is no fault here: the caller meets it, too. ModelError when the graph is not
/// the one that the manifest names. Safe to call from many threads:
/// the program is started by posix_spawn, and what becomes of it is read from a pipe, so that neither a host that
/// ignores SIGCHLD nor one that waits for any child is in the way.
void try_apart(const Bundle& bundle, const StagePrecisions& chosen, const EngineOptions& options,
               const backends::Backend& backend, const CacheFolder& cache);

}  // namespace medsam
