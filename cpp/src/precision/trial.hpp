// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// OpenVINO's low-precision pass divides by zero on some quantized graphs, and SIGFPE ends the process. So such a graph
// is loaded and run once in a process of its own (cpp/apps/medsam_trial.cpp) before it is compiled in this one, so that
// only that one ends: whatever its bundle says about it, unless this machine's cache remembers that it ran here.
#pragma once

#include <string>

#include "backends/backend.hpp"
#include "base/cache_folder.hpp"
#include "bundle/bundle.hpp"
#include "medsam/options.hpp"
#include "precision/resolve.hpp"

namespace medsam {

/// What the other process loads.
struct TrialOf {
  const Bundle& bundle;
  const Choice& stages;
  const EngineOptions& options;
  const backends::Backend& backend;
};

/// Tries the bundle apart because of `model`, a quantized graph of it that is to be compiled in `format`; the cache
/// remembers a success for this very graph, role, library, device, format and version. Does nothing inside the other
/// process. That one keeps nothing in the cache: a model that was compiled there and crashed when it ran would be taken
/// from there without a trial. BackendError when it ended before it had an answer; Unsupported when its program is not
/// installed. An error that the other process met as an exception is no fault here: the caller meets it, too. Safe to
/// call from many threads: the program is started by posix_spawn, and what becomes of it is read from a pipe, so that
/// neither a host that ignores SIGCHLD nor one that waits for any child is in the way.
void try_apart(const TrialOf& trial, const ModelFile& model, const std::string& format, const CacheFolder& cache);

}  // namespace medsam
