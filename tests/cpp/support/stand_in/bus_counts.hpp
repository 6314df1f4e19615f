// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What the stand-in plugin tells a test: it exports `medsam_stand_in_bus`, of this type.
#pragma once

#include <cstdint>

namespace medsam::testing {

struct BusCounts {
  std::int64_t to_host, to_device;  // bytes copied since the process began
  int graph_launches;
  int kernels_compiled;  // by TensorRT for RTX
};
using BusCountsEntry = BusCounts (*)();

}  // namespace medsam::testing
