// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A whole engine on a CUDA device, or on the stand-in for one (stand_in/), for the tests of it.
#pragma once

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "backends/plugin.hpp"
#include "backends/registry.hpp"
#include "medsam/engine.hpp"
#include "medsam/error.hpp"
#include "support/built_plugin.hpp"
#include "support/stand_in/bus_counts.hpp"
#include "support/tiny_bundle.hpp"

namespace medsam::backends {

inline void expect_names(const std::string& message, const std::string& what) {
  EXPECT_NE(message.find(what), std::string::npos) << message;
}

class CudaEngine : public ::testing::Test {
 protected:
  void SetUp() override {
    try {
      static_cast<void>(create_backend("cuda:0"));
    } catch (const Unsupported& e) {
      GTEST_SKIP() << e.what();
    }
    bundle_ = testing::write_tiny_bundle(folder_.path("bundle"));
    for (std::size_t i = 0; i < pixels_.size(); ++i) pixels_[i] = static_cast<std::uint8_t>(i % 251);
  }
  [[nodiscard]] Engine engine(const std::string& device) const {
    EngineOptions options;
    options.cache_dir = folder_.path("cache-" + device.substr(0, 4));
    options.profile = "";
    options.device = device;
    return Engine(bundle_, options);
  }
  [[nodiscard]] ImageView image() const { return {pixels_.data(), PixelType::u8, 40, 50, 1, 50}; }
  /// What an engine kept of its plans: ".plan", ".kernels".
  [[nodiscard]] std::vector<std::filesystem::path> kept(const std::string& extension) const {
    std::vector<std::filesystem::path> files;
    for (const auto& file : std::filesystem::directory_iterator(folder_.path("cache-cuda/plans"))) {
      if (file.path().extension() == extension) files.push_back(file.path());
    }
    return files;
  }

  const testing::ScopedVariable plugin_{"MEDSAM_ENGINE_PLUGIN_DIR", testing::plugin_folder()};
  const testing::ScopedVariable root_{"TENSORRT_ROOT", testing::tensorrt_folder()};
  testing::TemporaryFolder folder_;
  std::string bundle_;
  std::vector<std::uint8_t> pixels_ = std::vector<std::uint8_t>(40 * 50);
};

/// The stand-in computes the models as the CPU does, so that what is left are the pixel kernels, which have its bits;
/// and it counts what crosses the bus.
class CudaEngineOnStandIn : public CudaEngine {
 protected:
  void SetUp() override {
    CudaEngine::SetUp();
    if (IsSkipped()) return;
    void* plugin = dlopen((testing::plugin_folder() + "/libmedsam_engine_tensorrt.so").c_str(), RTLD_NOW | RTLD_LOCAL);
    bus = plugin == nullptr ? nullptr : reinterpret_cast<testing::BusCountsEntry>(dlsym(plugin, "medsam_stand_in_bus"));
    if (bus == nullptr) GTEST_SKIP() << "a GPU counts nothing, and its models differ in their last bits";
  }
  testing::BusCountsEntry bus = nullptr;
};

}  // namespace medsam::backends
