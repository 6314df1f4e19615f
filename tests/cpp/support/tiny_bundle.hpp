// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// tests/data/tiny_bundle (see make_tiny_bundle.py there), copied to where a test can change it.
#pragma once

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace medsam::testing {

/// A folder that is removed with the object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] std::string path(const std::string& name = "") const { return root_ + "/" + name; }

 private:
  std::string root_;
};

/// Sizes of the tiny model: input 32, embedding (1, 4, 8, 8), masks 16 x 16.
inline constexpr int kInputSize = 32;
inline constexpr int kEmbeddingChannels = 4, kEmbeddingSide = 8, kMaskSide = 16;

/// Copies a bundle of tests/data into `folder`, e.g. "tiny_routed" (make_tiny_routed.py); returns the folder.
std::string copy_bundle(const std::string& name, const std::string& folder);

/// Its manifest. Tests change it and write it again.
nlohmann::json tiny_manifest();

/// Copies the model files and writes `manifest` into `folder`; returns the folder.
std::string write_tiny_bundle(const std::string& folder, const nlohmann::json& manifest = tiny_manifest());

/// The content of the file of a stage's native models that add_fused names.
inline constexpr const char *kFusedEncoder = "encoder's weights", *kFusedDecoder = "decoder's weights";
/// Puts native models of these roles into a manifest. Their files are written with the bundle.
void add_fused(nlohmann::json& manifest, const std::vector<std::string>& roles);

/// Takes the graphs out of a manifest: its native models are then all that there is.
void remove_graphs(nlohmann::json& manifest);

void write_file(const std::string& path, const std::string& content);

}  // namespace medsam::testing
