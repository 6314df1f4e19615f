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
  std::string backend;                        ///< e.g. "OpenVINO 2026.4.1".
  std::string encoder_backend;                ///< The encoder's, e.g. "fused 2" (docs/precision.md).
  std::string model_hash;                     ///< SHA-256 over the bundle's model files, hex.
  std::string fingerprint;                    ///< The value that an embedding must carry, over all experts.
  int threads = 0;                            ///< Inference threads requested or tuned; 0 = all cores.
  bool tuned = false;                         ///< Whether `medsam-engine tune` chose the precision and the threads.
  std::vector<std::string> certified;         ///< Precisions that may run: "encoder/decoder".
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

/// The answer to N prompts on one image. Immutable; may outlive the engine. Full-size masks are computed on demand,
/// because 300 masks of a mammogram would take 1.3 GB.
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
  /// (N, M, h, w) row-major f32 logits in the model's frame (padding included); > 0 = object. Valid while this object
  /// lives.
  [[nodiscard]] const float* low_res_logits() const;
  /// (N, M) row-major f32, the model's own estimate of the IoU of each mask. Valid while this object lives.
  [[nodiscard]] const float* iou_predictions() const;
  /// Writes `label` where mask m of prompt n is set and leaves the rest of `out` (H, W) unchanged, in one pass.
  /// InvalidArgument: n or m is out of range, `out` has the wrong size, or `label` does not fit its type.
  MaskStats write_mask(std::int64_t n, std::int64_t m, const LabelView& out, std::uint32_t label = 1) const;

 private:
  std::shared_ptr<const Impl> impl_;
};

/// A loaded model. Immutable after construction: every method is const and may be called from many threads at once.
///
/// In a child process after fork, every method except info() raises Unsupported. So does the constructor if the parent
/// has ever had an engine on an OpenVINO device: start processes with exec, or fork before the first engine is created.
/// The destructor does nothing there (the memory stays until the child ends), and embeddings and predictions that were
/// made before the fork can still be read. A child that inherited an engine should end with _exit(): in exit(), static
/// destructors of OpenVINO may wait forever for threads that the child does not have.
class MEDSAM_ENGINE_EXPORT Engine {
 public:
  /// Loads the bundle in the folder `bundle`: compiles the model, or reads the compiled model from the cache.
  /// Raises ModelError, Unsupported, BackendError, or InvalidArgument (for an option).
  explicit Engine(const std::string& bundle, EngineOptions options = {});
  ~Engine();
  Engine(Engine&&) noexcept;             ///< Leaves the other without a model; it may only be assigned or destroyed.
  Engine& operator=(Engine&&) noexcept;  ///< Likewise.
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// What the engine runs. Valid while the engine lives.
  [[nodiscard]] const EngineInfo& info() const;

  /// Resizes, normalizes, pads and encodes one image, which is the expensive step (0.1 to 1 s on a CPU). If the same
  /// pixels are encoded again, the embedding comes from the cache. f32 pixels must be finite. Models that use the
  /// pixels inside a box accept u8 only. Raises InvalidArgument (also for a modality that is unknown, or missing
  /// although the model needs one), BackendError, OutOfMemory.
  [[nodiscard]] ImageEmbedding encode(const ImageView& image, const EncodeOptions& options = {}) const;

  /// The counters of the embedding cache. Raises Unsupported after fork.
  [[nodiscard]] CacheStats cache_stats() const;
  /// Drops all cached embeddings; the counters and the store on disk stay. Raises Unsupported after fork.
  void clear_cache() const;

  /// Answers prompts about an encoded image (tens of ms each on a CPU). Zero prompts give an empty Prediction.
  /// The result of a prompt does not depend on the other prompts of the call. Raises InvalidArgument, ModelError (the
  /// embedding belongs to another model), Unsupported (the model does not accept this kind of prompt,
  /// or its weights were not trained with it), BackendError.
  [[nodiscard]] Prediction predict(const ImageEmbedding& embedding, const std::vector<Prompt>& prompts,
                                   const PredictOptions& options = {}) const;
  /// Raises what predict would raise for the kinds of a prompt, without an image: for a host that wants to know before
  /// it encodes one, or which of its tools to offer. Unsupported; InvalidArgument (none). Works after fork, too.
  void check_prompt(PromptKinds kinds, const PredictOptions& options = {}) const;

  /// Encodes an image and segments one object per box. Writes label k + 1 for boxes[k] into `out` (H, W), and 0
  /// elsewhere. Where masks overlap, the profile decides: the later box wins in the published profiles, the smaller box
  /// in `clinical`. Prompts are decoded in small batches, so memory does not grow with the number of boxes. Returns the
  /// statistics of each mask before overlaps are resolved. Raises the errors of encode and predict; after an error, the
  /// content of `out` is unspecified.
  std::vector<MaskStats> segment(const ImageView& image, const std::vector<Box>& boxes, const LabelView& out,
                                 const SegmentOptions& options = {}) const;
  /// The same for an image that has been encoded.
  std::vector<MaskStats> segment(const ImageEmbedding& embedding, const std::vector<Box>& boxes, const LabelView& out,
                                 const SegmentOptions& options = {}) const;

  /// Segments a volume (D, H, W). Object k starts in the middle slice of boxes[k] and is propagated up and down by the
  /// rules of the profile. Writes label k + 1 into `out` (D, H, W), and 0 elsewhere; overlaps are resolved as in
  /// segment. Each slice is encoded once for all objects, or twice if the embeddings that are needed again do not fit
  /// into EngineOptions::cache_bytes. The result depends neither on that nor on the number of threads. Raises the
  /// errors of segment and Cancelled; after an error, the content of `out` is unspecified.
  std::vector<VolumeStats> segment_volume(const VolumeView& volume, const std::vector<Box3D>& boxes,
                                          const LabelVolumeView& out, const VolumeOptions& options = {}) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The modalities that the engine knows, sorted: CT, Dermoscopy, ...
[[nodiscard]] MEDSAM_ENGINE_EXPORT std::vector<std::string> modality_names();

/// The name in modality_names() for a common spelling ("X-Ray", "xray", "Microscope"), in upper or lower case; nothing
/// for a word that names no modality.
[[nodiscard]] MEDSAM_ENGINE_EXPORT std::optional<std::string> canonical_modality(const std::string& word);

/// Names of the built-in profiles, sorted.
[[nodiscard]] MEDSAM_ENGINE_EXPORT std::vector<std::string> profile_names();

/// The instruction set that the pixel kernels use in this process, e.g. "AVX3" or "SCALAR" (see MEDSAM_ENGINE_SIMD).
[[nodiscard]] MEDSAM_ENGINE_EXPORT std::string simd_target();

/// The library's version, e.g. "0.1.0".
[[nodiscard]] MEDSAM_ENGINE_EXPORT const char* version() noexcept;

}  // namespace medsam
