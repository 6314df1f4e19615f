// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "platform/random.hpp"

#include <windows.h>
// clang-format off: it needs what windows.h declares
#include <bcrypt.h>
// clang-format on

#include <algorithm>
#include <limits>

namespace medsam::platform {

bool random_bytes(void* out, std::size_t count) {
  constexpr std::size_t kMost = std::numeric_limits<ULONG>::max();
  for (auto* at = static_cast<UCHAR*>(out); count > 0;) {
    const auto size = static_cast<ULONG>(std::min(count, kMost));
    if (::BCryptGenRandom(nullptr, at, size, BCRYPT_USE_SYSTEM_PREFERRED_RNG) != 0) return false;
    at += size;
    count -= size;
  }
  return true;
}

}  // namespace medsam::platform
