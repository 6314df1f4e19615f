// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#pragma once

#include "bundle.hpp"

namespace medsam {

/// ONNX may keep tensors in other files (onnx.proto, TensorProto.external_data). A bundle comes from anywhere, so a
/// graph may name only files that its manifest lists as its `data`, which lie in the bundle's folder and are hashed;
/// ModelError for another, and for a graph that is not protobuf. Looks at the graph's structure alone: weights are
/// skipped.
void check_external_data(const ModelFile& model);

}  // namespace medsam
