// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A module that is built without threads has the one of its caller.
#include "platform/cores.hpp"

namespace medsam::platform {

Cores allowed_cores() {
  Cores cores;
#ifndef __EMSCRIPTEN_PTHREADS__
  cores[0] = true;
#endif
  return cores;
}

int current_core() { return -1; }

void keep_on(std::thread&, const Cores&) {}

bool has_threads() {
#ifdef __EMSCRIPTEN_PTHREADS__
  return true;
#else
  return false;
#endif
}

}  // namespace medsam::platform
