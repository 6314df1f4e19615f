// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
/// \file
/// What the C API's declarations need of the compiler: C linkage where C++ reads them, and export from the shared
/// library.
#pragma once

/// Exported from the shared library.
#if defined(_WIN32)
#if defined(MEDSAM_ENGINE_BUILDING)
#define MEDSAM_C_EXPORT __declspec(dllexport)
#else
#define MEDSAM_C_EXPORT __declspec(dllimport)
#endif
#else
#define MEDSAM_C_EXPORT __attribute__((visibility("default")))
#endif

/// Begins every declaration of the C API.
#if defined(__cplusplus)
#define MEDSAM_API extern "C" MEDSAM_C_EXPORT
#else
#define MEDSAM_API MEDSAM_C_EXPORT extern
#endif
