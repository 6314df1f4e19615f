// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// OpenVINO's plugin (plugin.hpp), opened when it is needed. What a plan asks of its CPU device is known without it, so
// that a process whose stages are all native never loads OpenVINO.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "backends/backend.hpp"

namespace medsam::backends {

/// OpenVINO's CPU device as far as this library knows it: its name and its formats are the processor's, its version is
/// the one that this library was built for. The first compile() calls `open`, and raises BackendError where what comes
/// back says otherwise, of its version or of the format that is compiled.
std::unique_ptr<Backend> on_demand_cpu(std::function<std::unique_ptr<Backend>()> open);

}  // namespace medsam::backends
