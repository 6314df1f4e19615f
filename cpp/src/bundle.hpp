// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Reads a bundle: docs/bundle.md is the contract.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cache_folder.hpp"
#include "profile.hpp"

namespace medsam {

enum class DType : std::uint8_t { f32, i32 };

struct TensorSpec {
  std::string name;
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape;  // -1 = dynamic
};

struct ModelFile {
  std::string role;  // "encoder", "decoder", ...
  std::string path;
  std::uint64_t bytes = 0;
  std::string sha256;
  std::vector<TensorSpec> inputs, outputs;
};

struct Bundle {
  std::string folder;
  std::string family;
  Profile profile;  // with image rules
  int input_size = 0;
  double prompt_frame = 0;
  std::map<std::string, ModelFile> models;  // by role
  std::string model_hash;                   // over all models' hashes

  [[nodiscard]] const ModelFile& model(const std::string& role) const;
  [[nodiscard]] bool has(const std::string& role) const { return models.count(role) != 0; }
};

/// Reads the manifest and checks every file's size. ModelError naming the file and field otherwise.
Bundle read_bundle(const std::string& folder);

/// Checks a file against its SHA-256. When the cache remembers that this very file (path, size, mtime, ctime and inode)
/// had that hash, it is not read again unless `force`. ModelError on a mismatch.
void verify_model(const ModelFile& model, const CacheFolder& cache, bool force);

}  // namespace medsam
