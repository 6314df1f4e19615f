// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What the module exports beside the C API's own functions: calls of those that take structs or 64-bit numbers, which
// JavaScript would have to lay out by hand. wasm/package/ is their only caller.
#pragma once

#include "medsam/medsam.h"

/// Begins every declaration: C linkage, and kept by the linker.
#define MEDSAM_WASM extern "C" __attribute__((used, visibility("default")))
