// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The networks that are code of this library: backend.cpp has the table of them, and each has its loader here.
#pragma once

#include <memory>

#include "backends/backend.hpp"
#include "backends/native/weights.hpp"

namespace medsam::backends::native {

/// From checked weights to a model of the engine. `file` is the manifest's entry, whose inputs and outputs the network
/// must have; `options.precision` is kF32Fused or kBf16Fused. What the model needs of the weights it copies.
/// ModelError.
using Load = std::shared_ptr<const CompiledModel> (*)(const Weights& weights, const ModelFile& file,
                                                      const CompileOptions& options);

struct Architecture {
  const char* name;  // Weights::architecture()
  Stage stage;       // of the models that it computes
  Load load;
};

/// The encoder of MedficientSAM, DAFT and EfficientViT-SAM.
std::shared_ptr<const CompiledModel> load_efficient_vit_encoder(const Weights& weights, const ModelFile& file,
                                                                const CompileOptions& options);

/// LiteMedSAM's encoder.
std::shared_ptr<const CompiledModel> load_tiny_vit_encoder(const Weights& weights, const ModelFile& file,
                                                           const CompileOptions& options);

/// SAM's prompt encoder and mask decoder, with or without mask_input as `file` has it.
std::shared_ptr<const CompiledModel> load_sam_decoder_model(const Weights& weights, const ModelFile& file,
                                                            const CompileOptions& options);

}  // namespace medsam::backends::native
