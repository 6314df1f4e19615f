// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "base/random_name.hpp"

#include <random>

namespace medsam {

std::string random_name() {
  std::random_device device;
  std::string name;
  while (name.size() < 16) {
    for (unsigned bits = device(), k = 0; k < 8; ++k, bits >>= 4U) name += "0123456789abcdef"[bits & 15U];
  }
  return name;
}

}  // namespace medsam
