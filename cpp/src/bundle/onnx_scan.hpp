// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bundle/bundle.hpp"

namespace medsam {

/// What a graph says about itself that must be known before a runtime parses it.
struct OnnxScan {
  std::vector<std::string> locations;  ///< Files in which it keeps tensors (TensorProto.external_data).
  /// Whether any of its operators quantizes, computes in integers of reduced precision, or is not ONNX's own, so that
  /// it may: what brings OpenVINO's low-precision passes into play (trial.hpp).
  bool quantized = false;
};

/// Looks at the graph's structure alone: weights are skipped. ModelError, naming `path`, for bytes that are no
/// protobuf.
OnnxScan scan_onnx(std::string_view graph, const std::string& path);

/// A bundle comes from anywhere, so a graph may name only files that its manifest lists as its `data`, which lie in the
/// bundle's folder and are hashed; ModelError for another. (To OpenVINO one name even stands for memory of the process
/// at an address that the graph gives.)
void check_external_data(const OnnxScan& scan, const ModelFile& model);

}  // namespace medsam
