// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// From what the caller asks for to what each stage runs: nothing else reads EngineOptions::precision.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/cache_folder.hpp"
#include "medsam/engine_info.hpp"
#include "medsam/options.hpp"
#include "precision/refusal.hpp"

namespace medsam {

/// What each stage runs.
struct Choice {
  std::string precision;  // "f32", the name of the certificate, or the pair that was asked for
  StageRun encoder, decoder;

  /// As one pair, "bf16/f32".
  [[nodiscard]] std::string pair() const { return encoder.name() + "/" + decoder.name(); }
};

/// What an engine runs and reports in EngineInfo. Valid as long as the bundle and the backends.
struct RunPlan {
  Choice stages;
  int threads = 0;
  bool tuned = false;                         // whether a stored choice is used
  std::vector<std::string> certified;         // certified_pairs
  std::vector<CertificateInfo> certificates;  // with the refusal of each
  std::string machine, tuning_file;           // of the stored choice that holds here; no file without a cache folder
  std::string certificates_file;              // of those measured here; "" without a cache folder

  /// How a model of the bundle is run.
  [[nodiscard]] const StageRun& run_of(const ModelFile& model) const {
    return model.stage() == Stage::encoder ? stages.encoder : stages.decoder;
  }
  /// What the embedding is computed in, as its fingerprint names it.
  [[nodiscard]] std::string computed() const;
};

/// The plan for what the caller asks for: with `options.precision` "auto", the choice that `medsam-engine tune` stored,
/// if there is one and the bundle has a certificate for it now, so that write access to the cache is not enough to make
/// an engine run an approximation that was not measured; otherwise what choose() returns. Errors of choose().
RunPlan resolve(const EngineOptions& options, const Bundle& bundle, const Backends& backends, const CacheFolder& cache,
                const CacheFolder::Log& log);

// The parts of resolve(), for tests.

/// "f32": every stage computes in it, on this library's own kernels where a certificate shows that the masks are the
/// same; "auto": the fastest that is certified and native, else f32; "bf16", "f16" or "int8": what its
/// certificate covers, or every stage when `allow_uncertified`; "bf16/f32" names the encoder's and the decoder's.
/// InvalidArgument for another word; Unsupported, saying why, for one that is not certified or not native. "f32/f32" is
/// the exact graphs alone. In a bundle without graphs, f32 is f32_fused, and what only graphs give is Unsupported.
Choice choose(const std::string& wanted, bool allow_uncertified, const Situation& here);

/// These stages, if they need no certificate (f32, or f32_fused without graphs) or one holds for them here; `why` gets
/// the refusal of one that does not.
std::optional<Choice> certified_stages(const std::string& encoder, const std::string& decoder, const Situation& here,
                                       std::string* why = nullptr);

/// Every pair of stages that certified_stages gives, as "encoder/decoder"; the one that needs no certificate first.
std::vector<std::string> certified_pairs(const Situation& here);

}  // namespace medsam
