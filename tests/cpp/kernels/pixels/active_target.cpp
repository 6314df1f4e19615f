// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Prints the name of the kernel table in use, or the error (exit code 3). --support: the table kernel x target.
#include <cstdio>
#include <stdexcept>
#include <string>

#include "kernels/kernel_support.hpp"
#include "kernels/pixels/pixel_kernels.hpp"

int main(int count, char** words) {
  try {
    if (count > 1 && std::string(words[1]) == "--support") {
      std::fputs(medsam::kernels::kernel_support_table().c_str(), stdout);
      return 0;
    }
    std::fputs(medsam::kernels::table().name, stdout);
  } catch (const std::invalid_argument& error) {
    std::fputs(error.what(), stdout);
    return 3;
  }
  return 0;
}
