// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Marks what the shared library exports; everything else is hidden.
#pragma once

#if defined(_WIN32)
#if defined(MEDSAM_ENGINE_BUILDING)
#define MEDSAM_ENGINE_EXPORT __declspec(dllexport)
#else
#define MEDSAM_ENGINE_EXPORT __declspec(dllimport)
#endif
#else
#define MEDSAM_ENGINE_EXPORT __attribute__((visibility("default")))
#endif
