// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What this build of the library is: its version, its built-in profiles and its instruction set.
#pragma once

#include <string>
#include <vector>

#include "medsam/export.hpp"

namespace medsam {

/// Names of the built-in profiles, sorted.
[[nodiscard]] MEDSAM_ENGINE_EXPORT std::vector<std::string> profile_names();

/// The instruction set that the pixel kernels use in this process, e.g. "AVX3" or "SCALAR" (see MEDSAM_ENGINE_SIMD).
[[nodiscard]] MEDSAM_ENGINE_EXPORT std::string simd_target();

/// The library's version, e.g. "0.1.0".
[[nodiscard]] MEDSAM_ENGINE_EXPORT const char* version() noexcept;

}  // namespace medsam
