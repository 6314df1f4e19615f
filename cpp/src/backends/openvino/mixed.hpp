// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Mixed precision for image encoders: products in bf16, the stream of features they add to in f32.
#pragma once

#include <openvino/core/model.hpp>

namespace medsam::backends {

/// Retypes an f32 model in place so that the branches of its residual blocks that are products (attention, perceptron)
/// and what follows the last block compute in bf16, and all else in f32: the stream they add to, the convolutions. In
/// bf16 throughout a feature is rounded to 8 bits after every block, and the later blocks amplify it: 5.4 % of
/// LiteMedSAM's embedding, against 2.6 % here (docs/precision.md). The model's inputs and outputs stay f32. To be
/// compiled with the inference precision f32: the CPU plugin then leaves each node the type it has. Exceptions of
/// OpenVINO.
///
/// Certificates and compiled models are kept under the name "bf16_mixed": another choice of nodes needs another name.
void retype_to_bf16_mixed(ov::Model& model);

}  // namespace medsam::backends
