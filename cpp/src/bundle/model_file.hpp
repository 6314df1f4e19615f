// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A model's files, as the manifest describes them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "bundle/arithmetic.hpp"

namespace medsam {

enum class DType : std::uint8_t { f32, i32 };

struct TensorSpec {
  std::string name;
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape;  // -1 = dynamic
  bool operator==(const TensorSpec&) const = default;
};

/// Weights that a model keeps beside its graph (ONNX external data).
struct DataFile {
  std::string path;
  std::uint64_t bytes = 0;
  std::string sha256;
};

/// The size of one map of a decoder's logits.
struct LogitsSize {
  std::int64_t height = 0, width = 0;
};

struct ModelFile {
  std::string name;  // in the manifest: in a bundle without experts, the role
  std::string role;  // "encoder", "decoder", "decoder_mask" or "crop_encoder"
  // Of the file; "" and 0 where there is none: a model of a bundle without graphs has a native form only.
  std::string path;
  std::uint64_t bytes = 0;
  std::string sha256;
  std::vector<TensorSpec> inputs, outputs;
  std::vector<DataFile> data;
  bool onnx = true;               // false: safetensors
  std::string precision = "f32";  // that of the graph's weights
  // Of native weights, which hold them, too: the frame and the shift of the bundle's prompts (PromptEncoding).
  double prompt_frame = 0, point_shift = 0;

  /// The stage that it belongs to: what is no encoder is run with the decoder.
  [[nodiscard]] Stage stage() const { return role == "encoder" ? Stage::encoder : Stage::decoder; }
  [[nodiscard]] bool has_file() const { return !path.empty(); }
  /// Names everything the model computes from: the graph's hash, and its data files' hashes, sizes and names, since
  /// two files under each other's names are another model. tools/medsam_engine_tools/bundle/content_hash.py makes the
  /// same.
  [[nodiscard]] std::string content_hash() const;
  /// The place of a tensor; -1 when there is none of that name.
  [[nodiscard]] std::ptrdiff_t input_index(const std::string& tensor) const;
  [[nodiscard]] std::ptrdiff_t output_index(const std::string& tensor) const;
  /// Of a decoder, whose first output is low_res_logits (N, M, h, w): check_models has seen to it.
  [[nodiscard]] LogitsSize low_res_size() const {
    const std::vector<std::int64_t>& shape = outputs.at(0).shape;
    return {shape.at(2), shape.at(3)};
  }
};

/// The models of one expert, by role.
using ModelSet = std::map<std::string, ModelFile>;

}  // namespace medsam
