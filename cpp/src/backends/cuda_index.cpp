// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "backends/cuda_index.hpp"

namespace medsam::backends {

int cuda_index(const std::string& device) {
  if (device == "cuda") return 0;
  const std::string prefix = "cuda:";
  const bool numbered = device.starts_with(prefix) && device.size() > prefix.size() && device.size() <= 8 &&
                        device.find_first_not_of("0123456789", prefix.size()) == std::string::npos;
  return numbered ? std::stoi(device.substr(prefix.size())) : -1;
}

}  // namespace medsam::backends
