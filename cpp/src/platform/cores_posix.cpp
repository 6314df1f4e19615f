// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "platform/cores.hpp"

#ifdef __linux__
#include <pthread.h>
#include <sched.h>
#endif

namespace medsam::platform {

#ifdef __linux__

static_assert(kMostCores == CPU_SETSIZE);

Cores allowed_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  Cores cores;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return cores;
  for (std::size_t core = 0; core < kMostCores; ++core) cores[core] = CPU_ISSET(core, &set) != 0;
  return cores;
}

int current_core() { return sched_getcpu(); }

void keep_on(std::thread& thread, const Cores& cores) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (std::size_t core = 0; core < kMostCores; ++core) {
    if (cores[core]) CPU_SET(core, &set);
  }
  pthread_setaffinity_np(thread.native_handle(), sizeof set, &set);
}

#else

Cores allowed_cores() { return {}; }
int current_core() { return -1; }
void keep_on(std::thread&, const Cores&) {}

#endif

bool starts_threads() { return true; }

}  // namespace medsam::platform
