// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What was verified is what is loaded: the bytes of a model's files, read once, hashed as they were read, and kept
// where nobody else can write.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bundle/bundle.hpp"
#include "platform/memory.hpp"

namespace medsam {

/// A model's files as they were when their SHA-256 was found to be the manifest's.
///
/// The graph (or a native encoder's weights) lies in a sealed memfd: memory of this process that cannot be written any
/// more, and that runtimes open by a path like any file. A mapping of the bundle's own file would not do: pages that
/// were not touched yet change with the file. Weights beside a graph are copied into files of a private folder (0700)
/// in the temporary folder, and the graph beside them: OpenVINO 2026.4.1 and TensorRT find such weights by the graph's
/// path only (OpenVINO resolves the name to a canonical path, which a memfd has not), and ViT-H's 2.5 GB would not fit
/// into the graph, a protobuf of at most 2 GiB. So peak memory grows by the graph's size, and the temporary folder by
/// that of the weights, while a model is read; neither happens when a compiled one is taken from the cache.
class VerifiedModel {
 public:
  /// Reads every file. ModelError: a hash or size that is not the manifest's, a graph that names other files or is no
  /// protobuf. BackendError: no memory file, no room in the temporary folder.
  explicit VerifiedModel(const ModelFile& model);
  ~VerifiedModel();
  VerifiedModel(const VerifiedModel&) = delete;
  VerifiedModel& operator=(const VerifiedModel&) = delete;

  /// Of the graph, or of a native encoder's weights. Lives with this object.
  [[nodiscard]] std::string_view bytes() const { return {memory_.data(), memory_.size()}; }
  /// Where a runtime that opens files finds these very bytes, weights beside the graph included; as long as this lives.
  [[nodiscard]] const std::string& path() const { return path_; }
  /// Whether the graph has operators that a backend's low-precision passes look at (onnx_scan.hpp).
  [[nodiscard]] bool quantized() const { return quantized_; }
  /// Lets verify_model() know that these very files had these hashes.
  void remember(const CacheFolder& cache) const;

 private:
  void keep_in_memory(const ModelFile& model);
  void copy_to_folder(const ModelFile& model);
  void clear() noexcept;

  platform::SealedMemory memory_;
  std::string path_, folder_;
  bool quantized_ = false;
  std::vector<std::pair<DataFile, std::string>> stamps_;
};

/// A model to compile: what is known of it, and its bytes where somebody asks for them. A backend that finds the
/// compiled model in its cache does not.
class ModelSource {
 public:
  using Check = std::function<void(const VerifiedModel&)>;

  /// `file` must outlive this. `check` sees the bytes before the one who asked for them does, and may throw.
  // NOLINTNEXTLINE(google-explicit-constructor): a model is a source of its bytes
  ModelSource(const ModelFile& file, Check check = nullptr) : file_(file), check_(std::move(check)) {}

  [[nodiscard]] const ModelFile& file() const { return file_; }
  /// Reads and verifies; to be called once. Errors of VerifiedModel and of `check`.
  [[nodiscard]] std::unique_ptr<const VerifiedModel> read() const;
  [[nodiscard]] bool was_read() const { return was_read_; }

 private:
  const ModelFile& file_;
  Check check_;
  mutable bool was_read_ = false;
};

/// For a model that was not read, since its compiled form came from the cache: checks that its files are still the
/// manifest's. Those of which the cache remembers path, size, mtime, ctime and inode are not read again unless `force`.
/// That finds damage and files that were exchanged, not someone who hides a change: who holds a page of the file mapped
/// and dirty can write to it later without another ctime. Nothing follows from it but an error that comes later: what
/// was not read here is not used. ModelError.
void verify_model(const ModelFile& model, const CacheFolder& cache, bool force);

}  // namespace medsam
