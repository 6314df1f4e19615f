// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The fastest certified precision and number of threads of a bundle on this machine, as `medsam-engine tune` measured
// and stored them beside the compiled models (docs/precision.md, "Tuning").
#pragma once

#include <optional>
#include <string>

#include "backends/backend.hpp"
#include "base/cache_folder.hpp"

namespace medsam {

/// What a measurement holds for. Another model, library, device or machine has a file of its own, so that a choice is
/// out of sight, not wrong, after an update or in a home folder that machines share.
struct TuningKey {
  std::string model_hash;
  std::string engine;   // this library's version
  std::string backend;  // e.g. "OpenVINO 2026.4.1"
  std::string device;   // e.g. "CPU"
  std::string machine;  // machine_name()
};

/// A digest of this machine's id.
std::string machine_digest();

/// The processor, the cores this process may use, what they compute in, and which machine it is (a digest of its id).
std::string machine_name(const backends::Backend& backend);

/// Name of the choice's file in the cache folder.
std::string tuning_entry(const TuningKey& key);

/// A stored choice.
struct Tuning {
  std::string encoder, decoder;  // precisions
  int threads = 0;               // 0 = the backend's default
};

/// The stored choice; nothing when there is none. One that cannot be used is reported to `log` and not used.
std::optional<Tuning> read_tuning(const CacheFolder& cache, const TuningKey& key, const CacheFolder::Log& log);

/// Tells `log` that there is a stored choice, and why it is not used.
void report_unused(const CacheFolder& cache, const TuningKey& key, const CacheFolder::Log& log, const std::string& why);

}  // namespace medsam
