// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The processor's cores, and which of them a thread runs on.
#pragma once

#include <bitset>
#include <cstddef>
#include <future>
#include <thread>

namespace medsam::platform {

/// As many as Linux's cpu_set_t has.
inline constexpr std::size_t kMostCores = 1024;
using Cores = std::bitset<kMostCores>;

/// Those that the calling thread may run on; none where the system does not say, or has more than it can number.
Cores allowed_cores();
/// The core that the caller is on just now; -1 where the system does not say.
int current_core();
/// Keeps a thread on these cores. Does nothing where the system cannot, as macOS.
void keep_on(std::thread& thread, const Cores& cores);
/// Whether a thread can be started at any time. In WebAssembly none can, or only as many as the page has made workers
/// for.
bool starts_threads();
/// How std::async does work beside the caller's: on another thread, or when it is asked for its result.
inline std::launch beside() { return starts_threads() ? std::launch::async : std::launch::deferred; }

}  // namespace medsam::platform
