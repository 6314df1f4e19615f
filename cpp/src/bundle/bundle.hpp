// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Reads a bundle: docs/bundle.md is the contract.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/cache_folder.hpp"
#include "bundle/certificate.hpp"
#include "bundle/modality.hpp"
#include "bundle/profile.hpp"
#include "bundle/prompt_encoding.hpp"
#include "bundle/trained_prompts.hpp"

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
  std::string role;  // "encoder", "decoder", "decoder_mask" or "crop_encoder"
  std::string path;
  std::uint64_t bytes = 0;
  std::string sha256;
  std::vector<TensorSpec> inputs, outputs;
  std::vector<DataFile> data;
  bool onnx = true;                       // false: safetensors
  std::string precision = "f32";          // that of the graph's weights
  std::shared_ptr<const ModelFile> half;  // the same in f16, where the bundle has it (docs/bundle.md, "The f16 graphs")

  /// Names everything the model computes from: the graph's hash, and its data files' hashes, sizes and names, since
  /// two files under each other's names are another model. tools/medsam_engine_tools/bundle/content_hash.py makes the
  /// same.
  [[nodiscard]] std::string content_hash() const;
  /// The place of a tensor; -1 when there is none of that name.
  [[nodiscard]] std::ptrdiff_t input_index(const std::string& name) const;
  [[nodiscard]] std::ptrdiff_t output_index(const std::string& name) const;
  /// Of a decoder, whose first output is low_res_logits (N, M, h, w): check_models has seen to it.
  [[nodiscard]] LogitsSize low_res_size() const {
    const std::vector<std::int64_t>& shape = outputs.at(0).shape;
    return {shape.at(2), shape.at(3)};
  }
};

/// The models of one expert, by role.
using ModelSet = std::map<std::string, ModelFile>;

/// The encoder again, with large layers in int8 (docs/bundle.md, "The int8 encoder").
struct QuantizedEncoder {
  ModelFile model;
  std::string rest = "f32";  // what its other layers compute in
};

struct Bundle {
  std::string folder;
  std::string family;
  Profile profile;  // with image rules
  int input_size = 0;
  PromptEncoding prompt;
  TrainedPrompts trained;
  ModalityRules modality;
  std::map<std::string, ModelSet> models;  // by expert; one, "", in a bundle without experts
  std::string model_hash;                  // over all models' hashes
  std::vector<Certificate> certificates;
  std::optional<QuantizedEncoder> quantized;
  std::optional<ModelFile> fused;  // the encoder's weights for this library's own kernels ("The fused encoder")
  std::string half_hash;           // over the f16 graphs; "" = the bundle has none

  /// ModelError when the expert has no model of that role.
  [[nodiscard]] const ModelFile& model(const std::string& role, const std::string& expert = "") const;
  /// Any expert's: what docs/bundle.md demands to be the same for all.
  [[nodiscard]] const ModelSet& first() const { return models.begin()->second; }
  /// Whether a decoder looks at the pixels inside a box, which must then stay with the embedding.
  [[nodiscard]] bool needs_crops() const;
};

/// Checks that the engine can fill and read every tensor of the experts' models. ModelError.
void check_models(const Bundle& bundle);

/// Reads the manifest and checks every file's size. ModelError naming the file and field otherwise.
Bundle read_bundle(const std::string& folder);

}  // namespace medsam
