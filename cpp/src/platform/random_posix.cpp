// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "platform/random.hpp"

#include <unistd.h>

#ifdef __APPLE__
#include <sys/random.h>
#endif

#include <algorithm>

namespace medsam::platform {

bool random_bytes(void* out, std::size_t count) {
  constexpr std::size_t kMost = 256;  // that getentropy gives per call
  for (auto* at = static_cast<char*>(out); count > 0;) {
    const std::size_t size = std::min(count, kMost);
    if (::getentropy(at, size) != 0) return false;
    at += size;
    count -= size;
  }
  return true;
}

}  // namespace medsam::platform
