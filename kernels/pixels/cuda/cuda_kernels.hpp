// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The pixel kernels on an NVIDIA GPU: the parameters, semantics and bits of pixel_kernels.hpp, over device memory.
// Callers need no CUDA header: a stream is passed as void*.
//
// Every function only queues work on the stream given and returns at once: none allocates, synchronizes, copies to the
// host or reads device memory from the host. Pointers inside Pixels and the parameters (data, logits, out) are device
// pointers; the structures themselves are read before the function returns. The caller makes the device current, sees
// that device memory lives until the stream has passed, and checks sizes, as with the CPU's tables.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/pixels/pixel_kernels.hpp"

namespace medsam::kernels::cuda {

/// A cudaStream_t.
using Stream = void*;

/// What became of a call. `message` is static text: null when queued; for unsupported what is not possible and what to
/// do, to be thrown as Unsupported; for failed CUDA's own name of the error.
struct [[nodiscard]] Status {
  enum class Code : std::uint8_t { queued, unsupported, failed };
  Code code;
  const char* message;
};

/// What upsample_threshold leaves on the device: 24 bytes to copy to the host and read through stats_of.
struct MaskCounts {
  std::uint64_t area;
  std::int32_t x0, y0, x1, y1;  // extremes of what was written; meaningless when area is 0
};

inline MaskStats stats_of(const MaskCounts& counts) noexcept {
  if (counts.area == 0) return {0, 0, 0, -1, -1};
  return {static_cast<std::int64_t>(counts.area), counts.x0, counts.y0, counts.x1, counts.y1};
}

/// The counterpart of kernels::KernelTable. A workspace is device memory, 64-byte aligned, used until the stream has
/// passed the call; what it holds before and after is of no interest.
struct Table {
  const char* name;  // "CUDA"

  /// Null where resize_normalize can do it, else the message of its Status: the interpolations spline and antialiased
  /// (unless sizes are equal) run on the CPU.
  const char* (*resize_normalize_refusal)(const Pixels&, const ResizeNormalizeParams&) noexcept;
  std::size_t (*resize_normalize_workspace)(const Pixels&, const ResizeNormalizeParams&) noexcept;
  /// out: (3, out_size, out_size) planar floats. *finite (device) becomes 1, or 0 when an f32 image holds a non-finite
  /// value (out is then unspecified).
  Status (*resize_normalize)(const Pixels&, const ResizeNormalizeParams&, float* out, std::int32_t* finite,
                             void* workspace, Stream) noexcept;

  /// kernels::upsample_square: (height, width) logits to (side, side), for upsample_threshold to go on from.
  Status (*upsample_square)(const float* in, std::int64_t height, std::int64_t width, std::int64_t side, float* out,
                            Stream) noexcept;
  std::size_t (*upsample_threshold_workspace)(const UpsampleThresholdParams&) noexcept;
  /// *counts (device, 8-byte aligned) is overwritten; elements of out that are not in the mask are left as they are.
  Status (*upsample_threshold)(const UpsampleThresholdParams&, MaskCounts* counts, void* workspace, Stream) noexcept;

  /// *fits (device) becomes 1, or 0 when a value is not finite or rounds beyond 65504 (out is then unspecified).
  Status (*to_f16)(const float* in, std::uint16_t* out, std::int64_t n, std::int32_t* fits, Stream) noexcept;
  Status (*from_f16)(const std::uint16_t* in, float* out, std::int64_t n, Stream) noexcept;

  /// *finite (device) becomes 1, or 0 when one of n values is NaN or infinite.
  Status (*all_finite)(const float* values, std::int64_t n, std::int32_t* finite, Stream) noexcept;
};

/// In the library medsam_cuda_kernels, which is built where nvcc is found (CMake: MEDSAM_ENGINE_CUDA).
const Table& table() noexcept;

}  // namespace medsam::kernels::cuda
