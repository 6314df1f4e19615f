// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "backends/registry.hpp"

#include "backends/cuda_index.hpp"
#include "backends/plugin.hpp"
#include "medsam/error.hpp"

namespace medsam::backends {

namespace {

constexpr char kCudaRemedy[] = R"(use device "CPU", or see docs/gpu.md)";
constexpr PluginFile kCudaPlugin = {"medsam_engine_tensorrt", "CUDA plugin",
                                    "device: got a CUDA device, but the CUDA plugin", kCudaRemedy, kCudaRemedy};

using Create = std::unique_ptr<Backend> (*)(const std::string& device);

constexpr Create kBackends[] = {
    create_openvino,
    create_cuda,
};

// "gpu" as "GPU", "CUDA:0" as "cuda:0": devices are spelled in any case.
std::string usual_spelling(const std::string& device) {
  std::string lower = device, upper = device;
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  for (char& c : upper) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return lower.starts_with("cuda") ? lower : upper;
}

}  // namespace

std::unique_ptr<Backend> create_cuda(const std::string& device) {
  if (!device.starts_with("cuda")) return nullptr;
  if (cuda_index(device) < 0) {
    throw Unsupported("device: got \"" + device.substr(0, 40) + "\", expected \"cuda\" or \"cuda:N\", N from 0");
  }
  return open_plugin(kCudaPlugin).create(device);
}

std::unique_ptr<Backend> create_backend(const std::string& device) {
  const std::string name = usual_spelling(device);
  for (const Create create : kBackends) {
    if (auto backend = create(name)) return backend;
  }
  throw Unsupported("device: got \"" + device.substr(0, 40) +
                    "\", expected \"CPU\", \"GPU\", \"NPU\" or \"AUTO\" (OpenVINO), or \"cuda:N\" (TensorRT)");
}

}  // namespace medsam::backends
