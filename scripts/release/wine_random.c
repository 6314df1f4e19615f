/* Copyright (c) medsam-engine contributors. Licensed under Apache-2.0. */
/* The one function of bcryptprimitives.dll that Rust's library asks for (pydantic-core's module), which Windows has and
   wine 8.0 has not: as many random bytes, by the function that wine has. Only for the Python that make wheel-windows
   runs. */
#include <stddef.h>

__declspec(dllimport) unsigned char __stdcall SystemFunction036(void* bytes, unsigned long size);

__declspec(dllexport) int __stdcall ProcessPrng(unsigned char* bytes, size_t size) {
  for (; size > 0; --size, ++bytes) {
    if (!SystemFunction036(bytes, 1)) return 0;
  }
  return 1;
}
