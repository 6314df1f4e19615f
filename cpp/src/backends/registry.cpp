// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "registry.hpp"

#include "medsam/error.hpp"

namespace medsam::backends {

namespace {

using Create = std::unique_ptr<Backend> (*)(const std::string& device);

constexpr Create kBackends[] = {
    create_openvino,
    create_cuda,
};

}  // namespace

std::unique_ptr<Backend> create_backend(const std::string& device) {
  for (const Create create : kBackends) {
    if (auto backend = create(device)) return backend;
  }
  throw Unsupported("device: got \"" + device.substr(0, 40) +
                    "\", expected \"CPU\", \"GPU\", \"NPU\" or \"AUTO\" (OpenVINO), or \"cuda:N\" (TensorRT)");
}

}  // namespace medsam::backends
