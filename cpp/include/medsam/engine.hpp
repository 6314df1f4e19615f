// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The engine: load a bundle once, encode an image once, answer any number of prompts. Includes all of the C++ API but
// folders of cases (medsam/folder.hpp) and printable text (medsam/printable.hpp).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "medsam/embedding.hpp"
#include "medsam/engine_info.hpp"
#include "medsam/error.hpp"
#include "medsam/export.hpp"
#include "medsam/image.hpp"
#include "medsam/library.hpp"
#include "medsam/modality.hpp"
#include "medsam/options.hpp"
#include "medsam/prediction.hpp"
#include "medsam/prompt.hpp"
#include "medsam/volume.hpp"

namespace medsam {

/// A loaded model. Immutable after construction: every method is const and may be called from many threads at once.
///
/// In a child process after fork, every method except info() raises Unsupported. So does the constructor of an engine
/// that runs a graph on OpenVINO if the parent has ever had one: start processes with exec, or fork before the first
/// engine is created.
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
  /// pixels are encoded again, the embedding comes from the cache. Under a profile that answers small boxes from
  /// windows of the image, as `clinical`, the embedding keeps a copy of the pixels for segment. f32 pixels must be
  /// finite. Models that use the pixels inside a box accept u8 only. Raises InvalidArgument (also for a modality that
  /// is unknown, or missing although the model needs one), BackendError, OutOfMemory.
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
  /// in `clinical`, which also encodes small boxes again in windows of the image that neighbors share
  /// (docs/profiles.md, "zoom"). Prompts are decoded in small batches and windows encoded one ahead, so memory does not
  /// grow with the number of boxes. Returns the statistics of each mask before overlaps are resolved. Raises the errors
  /// of encode and predict; after an error, the content of `out` is unspecified.
  std::vector<MaskStats> segment(const ImageView& image, const std::vector<Box>& boxes, const LabelView& out,
                                 const SegmentOptions& options = {}) const;
  /// The same for an image that has been encoded, with the same masks. Raises ModelError also for an embedding without
  /// the pixels that a small box needs: one that an engine of another profile made, or from an earlier version's file.
  std::vector<MaskStats> segment(const ImageEmbedding& embedding, const std::vector<Box>& boxes, const LabelView& out,
                                 const SegmentOptions& options = {}) const;

  /// Segments a volume (D, H, W). Object k is followed through the slices of boxes[k] by the rules of the profile
  /// (docs/profiles.md): from its middle slice up and down, or each slice for itself. Writes label k + 1 into `out` (D,
  /// H, W), and 0 elsewhere; overlaps are resolved as in segment. Each slice is encoded once for all objects, or once
  /// per sweep through the volume if the embeddings that are needed again do not fit into EngineOptions::cache_bytes.
  /// The result depends neither on that nor on the number of threads. Raises the errors of segment and Cancelled; after
  /// an error, the content of `out` is unspecified.
  std::vector<VolumeStats> segment_volume(const VolumeView& volume, const std::vector<Box3D>& boxes,
                                          const LabelVolumeView& out, const VolumeOptions& options = {}) const;

  struct Impl;
  /// For the library itself.
  [[nodiscard]] const Impl& impl() const noexcept { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace medsam
