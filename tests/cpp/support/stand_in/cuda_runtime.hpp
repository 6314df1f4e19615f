// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A stand-in for the CUDA runtime where there is no GPU. Device memory is host memory, but work is only done when its
// stream is waited for: what reads too early, or frees what is still to be used, is found by the tests or by ASan.
#pragma once

#include <cuda_runtime_api.h>

#include <atomic>
#include <functional>
#include <vector>

#include "support/stand_in/bus_counts.hpp"

namespace medsam::testing {

extern std::atomic<int> kernels_compiled;

using Work = std::function<void()>;

/// What a cudaStream_t points to.
struct StandInStream {
  std::vector<Work> queued;
  bool capturing = false;
};

inline StandInStream& stream_of(cudaStream_t stream) { return *reinterpret_cast<StandInStream*>(stream); }

}  // namespace medsam::testing
