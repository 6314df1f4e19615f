// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Weights files of a native encoder, good and bad, written apart from tools/medsam_engine_tools/export/native; and
// what a good one computes.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace medsam::testing {

/// The sizes of a TinyViT of two stages: one bottleneck and a merge; one block.
struct TinyVitSizes {
  std::int64_t input = 32, planes = 32, channels = 32, hidden = 64, merged = 32, stride = 2, window = 5,
               perceptron = 64, neck = 32;
};

struct TinyVitFile {
  nlohmann::json about;  // the header's own entry: format, architecture, input_size, strides, windows
  std::map<std::string, std::vector<std::int64_t>> tensors;

  /// The tensors one after the other. Finite values of both signs, below 0.1; the same for the same elements.
  [[nodiscard]] std::string bytes() const;
};

/// One that is loaded and run.
TinyVitFile tiny_vit_file(const TinyVitSizes& sizes = {});

/// A safetensors file of any header, behind it `floats` values.
std::string safetensors(const std::string& header, std::size_t floats);

/// Loads the file and encodes an image, `runs` times at once on the same threads. ModelError. BackendError where two of
/// them differ.
std::vector<float> encode(const std::string& path, int threads, int runs);

struct LoadedSize {
  std::size_t bytes;  // of its weights and tables in memory
  std::int64_t input_size;
};
/// Most bytes that a file of so many may become: what SECURITY.md says.
inline std::size_t largest_model(std::size_t file_bytes) { return 6 * file_bytes + (std::size_t{2} << 20); }
/// Loads the file. ModelError.
LoadedSize loaded_size(const std::string& path);

}  // namespace medsam::testing
