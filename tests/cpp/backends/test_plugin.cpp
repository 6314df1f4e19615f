// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Asking for a CUDA device where one thing or another is missing: one line that names it, and the CPU goes on.
#include <gtest/gtest.h>

#include "backends/backend.hpp"
#include "backends/cuda_index.hpp"
#include "bundle/bundle.hpp"
#include "medsam/engine.hpp"
#include "medsam/error.hpp"
#include "support/built_plugin.hpp"
#include "support/tiny_bundle.hpp"

namespace medsam::backends {
namespace {

using testing::ScopedVariable;

template <class E>
std::string message_of(const std::string& device) {
  try {
    static_cast<void>(create_backend(device));
  } catch (const E& e) {
    EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos) << "one line";
    return e.what();
  }
  ADD_FAILURE() << device << ": expected an error";
  return "";
}

void expect_names(const std::string& message, const std::string& what) {
  EXPECT_NE(message.find(what), std::string::npos) << message;
}

TEST(CudaDevice, HasANumber) {
  EXPECT_EQ(cuda_index("cuda"), 0);
  EXPECT_EQ(cuda_index("cuda:0"), 0);
  EXPECT_EQ(cuda_index("cuda:12"), 12);
  for (const char* other : {"CPU", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "cuda:99999", "cudart"}) {
    EXPECT_EQ(cuda_index(other), -1) << other;
  }
  expect_names(message_of<Unsupported>("cuda:x"), "cuda:N");
}

TEST(CudaDevice, WithoutThePluginIsUnsupportedAndTheCpuRuns) {
  const testing::TemporaryFolder empty;
  const ScopedVariable folder("MEDSAM_ENGINE_PLUGIN_DIR", empty.path());
  const std::string message = message_of<Unsupported>("cuda:0");
  expect_names(message, "libmedsam_engine_tensorrt.so");
  expect_names(message, empty.path());
  expect_names(message, "CPU");
  const std::string bundle = testing::write_tiny_bundle(empty.path("bundle"));
  EngineOptions options;
  options.cache_dir = "none";
  options.profile = "";
  options.device = "cuda:0";
  EXPECT_THROW(Engine(bundle, options), Unsupported);
  options.device = "CPU";
  EXPECT_EQ(Engine(bundle, options).info().family, "tiny");
}

TEST(CudaDevice, APluginThatIsNoLibraryIsABackendError) {
  const testing::TemporaryFolder folder;
  testing::write_file(folder.path("libmedsam_engine_tensorrt.so"), "not a library");
  const ScopedVariable named("MEDSAM_ENGINE_PLUGIN_DIR", folder.path());
  expect_names(message_of<BackendError>("cuda:0"), "cannot be loaded");
}

class BuiltPlugin : public ::testing::Test {
 protected:
  void SetUp() override {
    if (testing::plugin_folder().empty()) GTEST_SKIP() << "the CUDA plugin was not built: no TensorRT headers";
  }
  const ScopedVariable plugin_{"MEDSAM_ENGINE_PLUGIN_DIR", testing::plugin_folder()};
};

// First of those that load the library: once it is loaded it stays.
TEST_F(BuiltPlugin, WithoutTensorRtIsUnsupported) {
  const testing::TemporaryFolder empty;
  const ScopedVariable root("TENSORRT_ROOT", empty.path());
  const std::string message = message_of<Unsupported>("cuda:0");
  expect_names(message, "TensorRT for RTX");
  expect_names(message, empty.path());
  expect_names(message, "tensorrt-rtx-cu13");
}

class WithTensorRt : public BuiltPlugin {
 protected:
  void SetUp() override {
    BuiltPlugin::SetUp();
    if (IsSkipped()) return;
    if (testing::tensorrt_folder().empty()) GTEST_SKIP() << "no TensorRT library; pip install tensorrt-rtx-cu13";
  }
  const ScopedVariable root_{"TENSORRT_ROOT", testing::tensorrt_folder()};
};

TEST_F(WithTensorRt, WithoutADriverIsUnsupported) {
  try {
    const auto backend = create_backend("cuda:0");
    GTEST_SKIP() << "this machine has a CUDA device: " << backend->device_name();
  } catch (const Unsupported& e) {
    expect_names(e.what(), "cuda:0");
    expect_names(e.what(), "NVIDIA driver");
  }
}

TEST_F(WithTensorRt, ADeviceBeyondTheLastIsUnsupported) { message_of<Unsupported>("cuda:77"); }

}  // namespace
}  // namespace medsam::backends
