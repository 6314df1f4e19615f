// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The backends built into this library: one line each, here and in registry.cpp.
#pragma once

#include <memory>
#include <string>

#include "backend.hpp"

namespace medsam::backends {

/// Nothing when `device` is not an OpenVINO device name; Unsupported when it is one that this machine lacks.
std::unique_ptr<Backend> create_openvino(const std::string& device);

}  // namespace medsam::backends
