// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A client in C11: what a C++ test cannot see of the C API.
#pragma once

#include <stdint.h>

#if defined(__cplusplus)
extern "C" {
#endif

/// Segments a bright square with the bundle in folder `bundle`: engine, embedding, prediction, mask, label map. Returns
/// NULL, or what went wrong.
const char* c_client_segments(const char* bundle, const char* cache_dir, int64_t* area);

#if defined(__cplusplus)
}
#endif
