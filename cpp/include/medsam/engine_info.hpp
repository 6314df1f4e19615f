// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What an Engine runs, and the counters of its cache.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "medsam/prompt.hpp"

namespace medsam {

/// Where a certificate comes from.
enum class CertificateOrigin : std::uint8_t {
  project,  ///< This project measured it, and it is compiled into the library.
  machine,  ///< `medsam-engine certify` measured it on this machine and recorded it in the cache folder.
  bundle,   ///< Only the bundle contains it; anybody may have written it.
};

/// A certificate in the bundle.
struct CertificateInfo {
  std::string precision;                                 ///< Its name, e.g. "bf16".
  std::string encoder;                                   ///< Precision of the encoder.
  std::string decoder;                                   ///< Precision of the decoder.
  CertificateOrigin origin = CertificateOrigin::bundle;  ///< Where it comes from.
  std::string obstacle;                                  ///< Why it is not valid here; "" = it is valid.
  std::int64_t images = 0;                               ///< Number of images and volumes that it was measured on.
  double agreement_mean = 0;                             ///< DSC with the f32 masks, mean over their objects.
  /// The lowest DSC of an object; NaN if the certificate does not have it.
  double agreement_worst = std::numeric_limits<double>::quiet_NaN();
};

/// What an engine runs.
struct EngineInfo {
  std::string family;                         ///< e.g. "litemedsam".
  std::string profile;                        ///< The profile in force.
  std::string device;                         ///< As the backend names it.
  std::string precision;                      ///< The precision in force: "f32", or that of the certificate used.
  std::string encoder_precision;              ///< The encoder's precision.
  std::string decoder_precision;              ///< The decoder's precision.
  std::string backend;                        ///< e.g. "OpenVINO 2026.4.1"; without graphs, the library's own kernels.
  std::string encoder_backend;                ///< The encoder's, e.g. "fused 2" (docs/precision.md).
  std::string decoder_backend;                ///< The decoder's, e.g. "fused decoder 1", or `backend`.
  std::string model_hash;                     ///< SHA-256 over the bundle's model files, hex.
  std::string fingerprint;                    ///< The value that an embedding must carry, over all experts.
  int threads = 0;                            ///< Inference threads requested or tuned; 0 = all cores.
  bool tuned = false;                         ///< Whether `medsam-engine tune` chose the precision and the threads.
  std::vector<std::string> certified;         ///< Precisions that may run: "encoder/decoder"; first f32.
  std::vector<CertificateInfo> certificates;  ///< Those in the bundle, in its order.
  std::string certificates_file;              ///< Record of those measured here; "" = no cache folder.
  std::string machine;                        ///< The machine, as stored with a tuned choice.
  std::string tuning_file;                    ///< Path of a tuned choice; "" = no cache folder.
  int input_size = 0;                         ///< Side of the encoder's square input, pixels.
  std::vector<std::int64_t> embedding_shape;  ///< (1, C, h, w).
  std::vector<std::int64_t> mask_shape;       ///< (h, w) of low_res_logits.
  bool accepts_points = false;                ///< Whether prompts may have points.
  bool accepts_mask = false;                  ///< Whether prompts may have an earlier mask.
  bool accepts_scribble = false;              ///< Whether prompts may have a scribble.
  std::vector<std::string> modalities;        ///< Modalities that the model distinguishes; may be empty.
  bool needs_modality = false;                ///< Whether an image needs one of them.
  std::vector<std::string> experts;           ///< Names of the experts; empty: one model for all.
  /// The combinations of prompts that the weights were trained with; each is an or of PromptKinds. The graph usually
  /// takes more (accepts_*), but a prompt that is not in this list would get a wrong mask and is refused.
  std::vector<PromptKinds> trained_prompts;
  /// Whether the bundle states them. false: the bundle was made before the field existed, and only a box alone counts
  /// as trained; export it again.
  bool trained_prompts_stated = false;
};

/// Counters of the embedding cache since the engine was created.
struct CacheStats {
  std::uint64_t hits = 0;        ///< Images whose embedding was cached, or being computed by another thread.
  std::uint64_t misses = 0;      ///< Images that were encoded, or read from the store.
  std::uint64_t store_hits = 0;  ///< Misses that were read from the store.
  std::uint64_t evictions = 0;   ///< Embeddings dropped to stay within the budget.
  std::uint64_t entries = 0;     ///< Embeddings held now.
  std::uint64_t bytes = 0;       ///< Bytes they hold.
  std::uint64_t budget = 0;      ///< EngineOptions::cache_bytes.
};

}  // namespace medsam
