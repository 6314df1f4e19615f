// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#pragma once

#include <cstddef>

namespace medsam::platform {

/// Random bytes that nobody can foretell. False where the system gives none. Thread-safe.
bool random_bytes(void* out, std::size_t count);

}  // namespace medsam::platform
