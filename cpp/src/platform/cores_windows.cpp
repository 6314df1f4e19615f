// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "platform/cores.hpp"

#include <windows.h>
#ifdef __GLIBCXX__
#include <pthread.h>
#endif

namespace medsam::platform {

namespace {

// A group has at most 64 cores. In a process of several groups the numbers below would be of different groups
// ("Processor Groups"): it is left as it is.
bool one_group() {
  USHORT groups[8], count = 8;
  return ::GetProcessGroupAffinity(::GetCurrentProcess(), &count, groups) != 0 && count == 1 &&
         ::GetActiveProcessorGroupCount() == 1;
}

// With GCC's library a std::thread is a pthread_t, else a HANDLE.
HANDLE handle_of(std::thread& thread) {
#ifdef __GLIBCXX__
  return static_cast<HANDLE>(::pthread_gethandle(thread.native_handle()));
#else
  return thread.native_handle();
#endif
}

}  // namespace

Cores allowed_cores() {
  DWORD_PTR own = 0, all = 0;
  if (!one_group() || ::GetProcessAffinityMask(::GetCurrentProcess(), &own, &all) == 0) return {};
  return {static_cast<unsigned long long>(own)};
}

int current_core() { return one_group() ? static_cast<int>(::GetCurrentProcessorNumber()) : -1; }

void keep_on(std::thread& thread, const Cores& cores) {
  DWORD_PTR mask = 0;
  for (std::size_t core = 0; core < 8 * sizeof mask; ++core) mask |= DWORD_PTR{cores[core]} << core;
  if (mask != 0) ::SetThreadAffinityMask(handle_of(thread), mask);
}

bool starts_threads() { return true; }

}  // namespace medsam::platform
