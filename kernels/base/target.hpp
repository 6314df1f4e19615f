// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Which target of the processor the kernels of this process use: one answer for the pixels' kernels and the encoder's.
#pragma once

#include <string>
#include <vector>

namespace medsam::kernels {

/// The name of the reference, which every processor has.
inline constexpr const char* kReferenceTarget = "SCALAR";

/// The targets that both this build and this processor have, the best last: the reference, then Highway's, by Highway's
/// names ("AVX2", "AVX3", ...). Highway's own fallback without vectors is not among them; there the reference serves.
/// Thread-safe.
const std::vector<std::string>& available_targets();

/// The best of them, or the one that $MEDSAM_ENGINE_SIMD names; read once. Throws std::invalid_argument, naming those
/// available, when the variable names one that the processor or this build lacks. Thread-safe.
const std::string& target();

}  // namespace medsam::kernels
