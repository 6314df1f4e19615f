// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The fastest certified precision and number of threads of a bundle on this machine, as `medsam-engine tune` measured
// and stored them beside the compiled models (docs/precision.md, "Tuning").
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "backends/backend.hpp"
#include "base/cache_folder.hpp"
#include "bundle/bundle.hpp"
#include "bundle/certificate.hpp"
#include "medsam/engine_info.hpp"
#include "medsam/options.hpp"

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

/// The precisions and threads that an engine uses, and the data that a stored choice needs.
struct RunChoice {
  StagePrecisions precision;
  int threads = 0;
  bool tuned = false;                  // whether a stored choice was used
  std::vector<std::string> certified;  // certified_pairs
  std::string machine;                 // of the key
  std::string file;                    // where a choice for this key is stored; "" without a cache folder
  std::vector<CertificateInfo> certificates;
  std::string certificates_file;  // of those measured here; "" without a cache folder
};

/// What the caller says, else the stored choice, else choose_precision's. A stored choice is looked for only where
/// `options.precision` is "auto", and taken only if the bundle holds a certificate for it now: who can write the cache
/// cannot make an engine run an approximation that was not measured. `fused` runs native encoders; null: nothing does.
/// Errors of choose_precision.
RunChoice choose_run(const EngineOptions& options, const Bundle& bundle, const backends::Backend& backend,
                     const backends::Backend* fused, const CacheFolder& cache, const CacheFolder::Log& log);

}  // namespace medsam
