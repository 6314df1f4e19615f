// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A network of passes (network.hpp) as a model of the engine: from an image to its embedding.
#pragma once

#include <memory>

#include "backends/backend.hpp"
#include "backends/native/network.hpp"
#include "backends/native/weights.hpp"

namespace medsam::backends::native {

/// An encoder on `options.threads` threads of its own. ModelError where the network takes or makes another tensor than
/// the manifest's entry `file` says; `weights` is what it was loaded from.
std::shared_ptr<const CompiledModel> encoder_model(Network network, const Weights& weights, const ModelFile& file,
                                                   const CompileOptions& options);

}  // namespace medsam::backends::native
