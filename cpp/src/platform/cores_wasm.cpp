// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A thread of WebAssembly is a worker, which the page has to start and to wait for before it calls: the module cannot
// while a call runs. A module that is built without threads has the one of its caller.
#include "platform/cores.hpp"

namespace medsam::platform {

// With workers, the system does not number cores: std::thread::hardware_concurrency() is how many threads can run
// (wasm/workers_library.js).
Cores allowed_cores() {
  Cores cores;
#ifndef __EMSCRIPTEN_PTHREADS__
  cores[0] = true;
#endif
  return cores;
}

int current_core() { return -1; }

void keep_on(std::thread&, const Cores&) {}

bool starts_threads() { return false; }

}  // namespace medsam::platform
