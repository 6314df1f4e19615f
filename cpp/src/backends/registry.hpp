// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The backends this library knows: one line each, here and in registry.cpp.
#pragma once

#include <memory>
#include <string>

#include "backends/backend.hpp"

namespace medsam::backends {

/// "CPU", which is opened when a graph is compiled (on_demand.hpp), and OpenVINO's other devices, which are opened now.
/// Nothing when `device` is not an OpenVINO device name; Unsupported when it is one that this machine lacks, or when
/// the plugin is missing.
std::unique_ptr<Backend> create_openvino(const std::string& device);

/// "cuda" and "cuda:N", in a plugin that is opened now (plugin.hpp). Nothing for another name; Unsupported, saying what
/// is missing, when the plugin, TensorRT, the driver or the device is.
std::unique_ptr<Backend> create_cuda(const std::string& device);

}  // namespace medsam::backends
