// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The engine: load a bundle once, encode an image once, answer any number of prompts.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "medsam/embedding.hpp"
#include "medsam/error.hpp"
#include "medsam/export.hpp"
#include "medsam/image.hpp"
#include "medsam/prompt.hpp"
#include "medsam/volume.hpp"

namespace medsam {

/// Kinds of messages.
enum class LogLevel : std::uint8_t {
  info,     ///< Worth knowing: how far a GPU's compilation of a model is, which may take minutes.
  warning,  ///< Something asked for was not possible; the engine goes on without it.
};

/// How an Engine runs. A plain value; copied at construction.
struct EngineOptions {
  /// "CPU", "GPU", "NPU" or "AUTO" (OpenVINO), or "cuda:N" (TensorRT, docs/gpu.md), in any case. Unsupported,
  /// naming what is missing, when it is not there.
  std::string device = "CPU";
  /// "f32", "auto" or an approximation: "bf16", "f16", "int8", or "bf16/f32" for the encoder and the decoder. Always
  /// passed to the backend explicitly, never left to its default. An approximation runs only with a
  /// certificate that it keeps the masks, of this project or measured on this machine (trust_bundle_certificates: or of
  /// whoever made the bundle), and where the processor computes in it; "auto" takes the fastest such, else
  /// f32: the one that `medsam-engine tune` measured on this machine, where it did. See EngineInfo for what came of it.
  std::string precision = "f32";
  /// Take the bundle's own word for its certificates (CertificateOrigin::bundle): for "auto", "f32" and approximations
  /// asked for by name. Without it such a certificate counts as none. For bundles from where you take software.
  bool trust_bundle_certificates = false;
  /// Run `precision` without a certificate. For measuring; masks may differ from f32's without a word.
  bool allow_uncertified = false;
  /// Threads for inference; 0 = all cores the process may use, or with precision "auto" what `tune` found best.
  int threads = 0;
  /// Name of a built-in profile or of the bundle's own; "" = the bundle's own, which reproduces its published script.
  std::string profile = "clinical";
  /// Folder for compiled models; "" = $MEDSAM_ENGINE_CACHE, else $XDG_CACHE_HOME/medsam-engine, else
  /// ~/.cache/medsam-engine; "none" = do not store. Made with mode 0700. A folder that cannot be
  /// written, belongs to another user or can be written by others is reported to `log` and not used.
  std::string cache_dir;
  /// Bytes of embeddings kept for images seen before, least recently used out first; 0 = none. An image encoded again
  /// while it is kept costs a hash of its pixels. Embeddings the caller still holds are not freed.
  std::uint64_t cache_bytes = std::uint64_t{256} << 20;
  /// How embeddings are kept, in memory and on disk.
  EmbeddingStorage embedding_storage = EmbeddingStorage::f32;
  /// Folder that keeps embeddings between runs, so that an image seen yesterday need not be encoded again; "" = none.
  /// Holds image content in encoded form: protect it as you protect the images; its rules are those of cache_dir. An
  /// image is known again by the SHA-256 of its pixels, which costs about 4 ms per MB. Faults are reported to `log`.
  std::string embedding_store;
  /// Bytes that folder may hold; the least recently written files go first.
  std::uint64_t embedding_store_bytes = std::uint64_t{4} << 30;
  /// The modality of images for which none is given; "" = not known. See EncodeOptions::modality.
  std::string modality;
  /// Most experts held at once where the bundle has several (one a modality): they load when first needed, and the
  /// least recently used goes first.
  std::size_t expert_limit = 4;
  /// Hash every file of the bundle now, also those unchanged since their last verification.
  bool verify = false;
  /// Receives messages; nullptr = silence. Called from any thread, several at once: those that call the engine, and
  /// those that compile models for it. Each is one printable line (medsam/printable.hpp). Must not throw: what it
  /// throws is dropped.
  std::function<void(LogLevel, const std::string&)> log;
};

/// Whose word a certificate is.
enum class CertificateOrigin : std::uint8_t {
  project,  ///< This project's: it measured it, and the library has it compiled in.
  machine,  ///< `medsam-engine certify` measured it here: the cache folder remembers it for this machine.
  bundle,   ///< The bundle's own, which anybody may have written.
};

/// A certificate in the bundle.
struct CertificateInfo {
  std::string precision;                                 ///< What it is called, e.g. "bf16".
  std::string encoder;                                   ///< What the encoder computes in.
  std::string decoder;                                   ///< And the decoder.
  CertificateOrigin origin = CertificateOrigin::bundle;  ///< Whose word it is.
  std::string obstacle;                                  ///< Why it does not count here; "" = it does.
  std::int64_t images = 0;                               ///< Images and volumes that it was measured on.
  double agreement_mean = 0;                             ///< DSC with the f32 masks, the mean over their objects.
  /// That of the object on which it is lowest; NaN where the certificate does not have it.
  double agreement_worst = std::numeric_limits<double>::quiet_NaN();
};

/// What the engine runs; read from the bundle's manifest.
struct EngineInfo {
  std::string family;                         ///< e.g. "litemedsam".
  std::string profile;                        ///< The profile in force.
  std::string device;                         ///< As the backend names it.
  std::string precision;                      ///< The precision in force: "f32", or that of the certificate used.
  std::string encoder_precision;              ///< Of it, what the encoder computes in.
  std::string decoder_precision;              ///< And the decoder.
  std::string backend;                        ///< e.g. "OpenVINO 2026.4.1".
  std::string encoder_backend;                ///< The encoder's, e.g. "fused 1" (docs/precision.md); else the same.
  std::string model_hash;                     ///< SHA-256 over the bundle's model files, hex.
  std::string fingerprint;                    ///< What an embedding must carry to be accepted; of all experts together.
  int threads = 0;                            ///< Inference threads asked for, or tuned; 0 = all.
  bool tuned = false;                         ///< Whether `medsam-engine tune` chose the precision and the threads.
  std::vector<std::string> certified;         ///< What may run here: "encoder/decoder" precisions, "f32/f32" first.
  std::vector<CertificateInfo> certificates;  ///< The bundle's, in its order.
  std::string certificates_file;              ///< Where those measured here are remembered; "" without a cache folder.
  std::string machine;                        ///< The machine, as a tuned choice names it.
  std::string tuning_file;                    ///< Where a tuned choice is stored; "" without a cache folder.
  int input_size = 0;                         ///< Side of the encoder's square input, pixels.
  std::vector<std::int64_t> embedding_shape;  ///< (1, C, h, w).
  std::vector<std::int64_t> mask_shape;       ///< (h, w) of low_res_logits.
  bool accepts_points = false;                ///< Whether prompts may have points.
  bool accepts_mask = false;                  ///< Whether prompts may have an earlier mask.
  bool accepts_scribble = false;              ///< Whether prompts may have a scribble.
  std::vector<std::string> modalities;        ///< That the model tells apart; empty: it does not ask.
  bool needs_modality = false;                ///< Whether an image without one of them is refused.
  std::vector<std::string> experts;           ///< Names of the bundle's experts; empty: one model for all.
  /// The combinations of prompts that the weights were trained with, each or-ed. accepts_* says what the graph takes,
  /// which is usually more: a prompt that is not in this list gets a wrong mask, and is refused.
  std::vector<PromptKinds> trained_prompts;
  /// Whether the bundle states them. false: it was made before it could, and only a box alone counts as trained; export
  /// it again.
  bool trained_prompts_stated = false;
};

/// The embedding cache's counters since the engine was made.
struct CacheStats {
  std::uint64_t hits = 0;        ///< Images whose embedding was there, or being made by another thread.
  std::uint64_t misses = 0;      ///< Images encoded, or read from the store.
  std::uint64_t store_hits = 0;  ///< Of the misses, those read from the store.
  std::uint64_t evictions = 0;   ///< Embeddings dropped to stay within the budget.
  std::uint64_t entries = 0;     ///< Embeddings held now.
  std::uint64_t bytes = 0;       ///< Bytes they hold.
  std::uint64_t budget = 0;      ///< EngineOptions::cache_bytes.
};

/// How Engine::encode runs.
struct EncodeOptions {
  /// The image's modality, one of modality_names() in any usual spelling ("X-Ray", "xray"); "" = EngineOptions's. Only
  /// models that tell modalities apart look at it: it picks the expert, or a token of the decoder.
  std::string modality;
};

/// How Engine::predict answers.
struct PredictOptions {
  /// false: one mask a prompt (M = 1), the one meant for unambiguous prompts. true: M = 3 alternatives, as SAM orders
  /// them.
  bool multimask_output = false;
  /// Asked on the calling thread before every batch of prompts; true ends the call with Cancelled. nullptr = never.
  /// Must not throw.
  std::function<bool()> cancelled;
  /// Answers prompts that the weights were not trained with (EngineInfo::trained_prompts). For research: their masks
  /// are usually wrong.
  bool allow_untrained = false;
};

/// How Engine::segment runs.
struct SegmentOptions {
  /// As PredictOptions::cancelled; also asked before the image is encoded.
  std::function<bool()> cancelled;
  /// As EncodeOptions::modality; an image encoded before has its own.
  std::string modality;
};

/// The answer to N prompts on one image. Immutable; may outlive the engine. Full-size masks are made on demand, since
/// 300 masks of a mammogram would be 1.3 GB.
class MEDSAM_ENGINE_EXPORT Prediction {
 public:
  struct Impl;
  /// For the library itself.
  explicit Prediction(std::shared_ptr<const Impl> impl);

  [[nodiscard]] std::int64_t size() const;              ///< N, the number of prompts.
  [[nodiscard]] std::int64_t masks_per_prompt() const;  ///< M, 1 or 3.
  [[nodiscard]] std::int64_t low_res_height() const;    ///< h of the logits.
  [[nodiscard]] std::int64_t low_res_width() const;     ///< w of the logits.
  [[nodiscard]] std::int64_t height() const;            ///< H of the original image.
  [[nodiscard]] std::int64_t width() const;             ///< W of the original image.
  /// (N, M, h, w) row-major f32 logits in the model's frame (padding included); > 0 is object. Lives with this object.
  [[nodiscard]] const float* low_res_logits() const;
  /// (N, M) row-major f32, the model's own estimate of each mask's IoU. Lives with this object.
  [[nodiscard]] const float* iou_predictions() const;
  /// Writes `label` where mask m of prompt n is set, leaves the rest of `out` (H, W) as it is; one pass.
  /// InvalidArgument: n, m, the size of `out`, or a label that does not fit its type.
  MaskStats write_mask(std::int64_t n, std::int64_t m, const LabelView& out, std::uint32_t label = 1) const;

 private:
  std::shared_ptr<const Impl> impl_;
};

/// A loaded model. Immutable after construction: every method is const and safe to call from many threads at once.
/// In a child process after fork every method but info() raises Unsupported: create the engine there. The destructor
/// does nothing there (the memory stays until the child ends), and embeddings and predictions made before the fork can
/// still be read. A child that inherited an engine should end with _exit(): in exit(), OpenVINO's static destructors
/// can wait for ever for threads that the child does not have.
class MEDSAM_ENGINE_EXPORT Engine {
 public:
  /// Loads the bundle in folder `bundle`. Compiles the model, or takes the compiled one from the cache.
  /// ModelError, Unsupported, BackendError, InvalidArgument (options).
  explicit Engine(const std::string& bundle, EngineOptions options = {});
  ~Engine();
  Engine(Engine&&) noexcept;             ///< Leaves the other without a model: it may only be assigned to or destroyed.
  Engine& operator=(Engine&&) noexcept;  ///< Likewise.
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// What the engine runs. Lives with the engine.
  [[nodiscard]] const EngineInfo& info() const;

  /// Resizes, normalises, pads and encodes one image: the expensive step (0.1 to 1 s on a CPU).
  /// The same pixels again come from the cache. f32 pixels must be finite; models that look at the pixels inside a box
  /// take u8 only. InvalidArgument (also: a modality that is unknown, or missing where the model needs one),
  /// BackendError, OutOfMemory.
  [[nodiscard]] ImageEmbedding encode(const ImageView& image, const EncodeOptions& options = {}) const;

  /// The embedding cache's counters. Unsupported after fork.
  [[nodiscard]] CacheStats cache_stats() const;
  /// Forgets every cached embedding; the counters and the store on disk stay. Unsupported after fork.
  void clear_cache() const;

  /// Answers prompts about an encoded image (tens of ms each on a CPU). Zero prompts give an empty Prediction.
  /// A prompt's result does not depend on the other prompts of the call. InvalidArgument, ModelError (embedding of
  /// another model), Unsupported (a kind of prompt the bundle lacks, or that its weights were not trained with),
  /// BackendError.
  [[nodiscard]] Prediction predict(const ImageEmbedding& embedding, const std::vector<Prompt>& prompts,
                                   const PredictOptions& options = {}) const;
  /// Raises what predict would raise for the kinds of a prompt, without an image: for a host that wants to know before
  /// it encodes one, or which of its tools to offer. Unsupported; InvalidArgument (none). Works after fork, too.
  void check_prompt(PromptKinds kinds, const PredictOptions& options = {}) const;

  /// encode + one box a label: writes label k + 1 for boxes[k] into `out` (H, W), 0 elsewhere; where masks overlap, the
  /// profile decides (the later box wins in the published ones, the smaller in `clinical`). Decodes in small batches,
  /// so memory does not grow with the number of boxes. Returns the statistics of each mask before overlap. Errors as
  /// encode and predict; when one is raised, the content of `out` is unspecified.
  std::vector<MaskStats> segment(const ImageView& image, const std::vector<Box>& boxes, const LabelView& out,
                                 const SegmentOptions& options = {}) const;
  /// The same on an image encoded before.
  std::vector<MaskStats> segment(const ImageEmbedding& embedding, const std::vector<Box>& boxes, const LabelView& out,
                                 const SegmentOptions& options = {}) const;

  /// Segments a volume (D, H, W): object k starts at the middle slice of boxes[k] and propagates both ways by the
  /// profile's rules; label k + 1 goes into `out` (D, H, W), 0 elsewhere; where objects overlap, as segment.
  /// Each slice is encoded once for all objects while the embeddings that are needed again fit
  /// EngineOptions::cache_bytes, and once more where they do not; the result is the same. The result does not depend on
  /// the number of threads either. Errors as segment; Cancelled; when one is raised, the content of `out` is
  /// unspecified.
  std::vector<VolumeStats> segment_volume(const VolumeView& volume, const std::vector<Box3D>& boxes,
                                          const LabelVolumeView& out, const VolumeOptions& options = {}) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The modalities the engine knows, sorted: CT, Dermoscopy, ...
[[nodiscard]] MEDSAM_ENGINE_EXPORT std::vector<std::string> modality_names();

/// The name of modality_names() for a spelling in use ("X-Ray", "xray", "Microscope"), in any case; nothing for a word
/// that names no modality.
[[nodiscard]] MEDSAM_ENGINE_EXPORT std::optional<std::string> canonical_modality(const std::string& word);

/// Names of the built-in profiles, sorted.
[[nodiscard]] MEDSAM_ENGINE_EXPORT std::vector<std::string> profile_names();

/// The instruction set the pixel kernels run on in this process, e.g. "AVX3" or "SCALAR" (see MEDSAM_ENGINE_SIMD).
[[nodiscard]] MEDSAM_ENGINE_EXPORT std::string simd_target();

/// The library's version, e.g. "0.1.0".
[[nodiscard]] MEDSAM_ENGINE_EXPORT const char* version() noexcept;

}  // namespace medsam
