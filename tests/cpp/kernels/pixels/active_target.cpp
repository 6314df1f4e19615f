// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Prints the name of the kernel table in use, or the error (exit code 3).
#include <cstdio>
#include <stdexcept>

#include "kernels/pixels/pixel_kernels.hpp"

int main() {
  try {
    std::fputs(medsam::kernels::table().name, stdout);
  } catch (const std::invalid_argument& error) {
    std::fputs(error.what(), stdout);
    return 3;
  }
  return 0;
}
