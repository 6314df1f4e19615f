// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The settings of an Engine and of its calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "medsam/embedding.hpp"

namespace medsam {

/// The kinds of messages.
enum class LogLevel : std::uint8_t {
  info,     ///< Information, such as the progress of compiling a model for a GPU, which may take minutes.
  warning,  ///< Something that was requested is not possible; the engine continues without it.
};

/// The settings of an Engine. A plain value; the engine copies it at construction.
struct EngineOptions {
  /// "CPU", "GPU", "NPU" or "AUTO" (OpenVINO), or "cuda:N" (TensorRT, docs/gpu.md), in any case. A device that is not
  /// available raises Unsupported; the message names what is missing.
  std::string device = "CPU";
  /// "f32", "auto" or an approximation: "bf16", "f16", "int8", or a pair such as "bf16/f32" for the encoder and the
  /// decoder. The engine always passes the precision to the backend and never relies on the backend's default. An
  /// approximation runs only if a certificate shows that it keeps the masks and if the processor computes in it. The
  /// certificate must be this project's or have been measured on this machine; see also trust_bundle_certificates.
  /// "auto" selects the fastest such precision, or f32 if there is none. If `medsam-engine tune` has been run on this
  /// machine, its choice is used. EngineInfo reports which precision was selected.
  std::string precision = "f32";
  /// Accept certificates whose only evidence is the bundle itself (CertificateOrigin::bundle), for "auto", "f32" and
  /// approximations requested by name. Otherwise such certificates are ignored. Set it only for bundles from sources
  /// whose software you would install.
  bool trust_bundle_certificates = false;
  /// Run `precision` without a certificate. Meant for measurements: masks may differ silently from those of f32.
  bool allow_uncertified = false;
  /// Number of inference threads; 0 = all cores that the process may use or, with precision "auto", the number that
  /// `medsam-engine tune` found to be fastest.
  int threads = 0;
  /// Name of a built-in profile or of the bundle's own profile; "" = the bundle's own, which reproduces the published
  /// script of its model.
  std::string profile = "clinical";
  /// Folder for compiled models; "" = $MEDSAM_ENGINE_CACHE, else $XDG_CACHE_HOME/medsam-engine, else
  /// ~/.cache/medsam-engine; "none" = store nothing. The folder is created with mode 0700. A folder that cannot be
  /// written, belongs to another user or can be written by others is reported to `log` and not used.
  std::string cache_dir;
  /// Bytes of memory for embeddings of earlier images; the least recently used ones are dropped first; 0 = none.
  /// Encoding an image whose embedding is still cached costs only a hash of its pixels. Embeddings that the caller
  /// holds are not freed.
  std::uint64_t cache_bytes = std::uint64_t{256} << 20;
  /// How embeddings are kept, in memory and on disk.
  EmbeddingStorage embedding_storage = EmbeddingStorage::f32;
  /// Folder that keeps embeddings between runs, so that an image need not be encoded again; "" = none. It contains
  /// image content in encoded form: protect it as you protect the images. The rules for owner and mode are those of
  /// cache_dir. An image is recognized by the SHA-256 of its pixels, which costs about 4 ms per MB. Faults are reported
  /// to `log`.
  std::string embedding_store;
  /// Most bytes that embedding_store may hold; the least recently written files are deleted first.
  std::uint64_t embedding_store_bytes = std::uint64_t{4} << 30;
  /// The modality of images for which the call gives none; "" = unknown. See EncodeOptions::modality.
  std::string modality;
  /// Most experts held in memory at once, if the bundle has several (one per modality). An expert is loaded when it is
  /// first needed, and the least recently used one is dropped first.
  std::size_t expert_limit = 4;
  /// Hash every file of the bundle now, including files that have not changed since they were last verified.
  bool verify = false;
  /// Receives messages; nullptr = none. It may be called from several threads at once: from those that call the engine
  /// and from those that compile models for it. Each message is one printable line (medsam/printable.hpp). It must not
  /// throw; an exception is dropped.
  std::function<void(LogLevel, const std::string&)> log;
};

/// Options of Engine::encode.
struct EncodeOptions {
  /// The modality of the image: one of modality_names() in any usual spelling ("X-Ray", "xray"); "" = that of
  /// EngineOptions. Only models that distinguish modalities use it, to select an expert or a token of the decoder.
  std::string modality;
};

/// Options of Engine::predict.
struct PredictOptions {
  /// false: one mask per prompt (M = 1), which is the one for unambiguous prompts. true: three alternatives (M = 3), in
  /// SAM's order.
  bool multimask_output = false;
  /// Called on the calling thread before every batch of prompts; return true to end the call with Cancelled. nullptr =
  /// the call cannot be cancelled. Must not throw.
  std::function<bool()> cancelled;
  /// Answers prompts that the weights were not trained with (EngineInfo::trained_prompts). For research: their masks
  /// are usually wrong.
  bool allow_untrained = false;
};

/// Options of Engine::segment.
struct SegmentOptions {
  /// As PredictOptions::cancelled; also called before the image is encoded.
  std::function<bool()> cancelled;
  /// As EncodeOptions::modality; an embedding already carries the modality of its image.
  std::string modality;
};

}  // namespace medsam
