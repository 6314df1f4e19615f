// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "registry.hpp"

#include "medsam/error.hpp"

namespace medsam::backends {

namespace {

using Create = std::unique_ptr<Backend> (*)(const std::string& device);

constexpr Create kBackends[] = {
    create_openvino,
};

}  // namespace

std::unique_ptr<Backend> create_backend(const std::string& device) {
  for (const Create create : kBackends) {
    if (auto backend = create(device)) return backend;
  }
  throw Unsupported("device: got \"" + device + "\", expected \"CPU\"; no other backend is built into this library");
}

}  // namespace medsam::backends
