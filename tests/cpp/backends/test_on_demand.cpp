// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// OpenVINO's CPU device before OpenVINO is there: what is known of it, and what is said where it cannot be opened. This
// test has no plugin beside it.
#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <sstream>
#include <vector>

#include "backends/on_demand.hpp"
#include "backends/processor.hpp"
#include "bundle/bundle.hpp"
#include "medsam/engine.hpp"
#include "medsam/error.hpp"
#include "platform/library.hpp"
#include "support/built_plugin.hpp"
#include "support/tiny_bundle.hpp"

namespace medsam::backends {
namespace {

using testing::ScopedVariable;

template <class E, class F>
std::string message_of(const F& act) {
  try {
    act();
  } catch (const E& e) {
    EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos) << "one line";
    return e.what();
  }
  ADD_FAILURE() << "expected an error";
  return "";
}

void expect_names(const std::string& message, const std::string& what) {
  EXPECT_NE(message.find(what), std::string::npos) << message;
}

std::string plugin_file() { return platform::plugin_name("medsam_engine_openvino"); }

bool openvino_is_loaded() {
  std::ifstream maps("/proc/self/maps");
  std::ostringstream text;
  text << maps.rdbuf();
  return text.str().find("libopenvino") != std::string::npos;
}

/// What a plugin might give back.
class Opened final : public Backend {
 public:
  Opened(std::string library, bool native) : library_(std::move(library)), native_(native) {}
  std::string library() const override { return library_; }
  std::string device_name() const override { return "opened"; }
  std::string device_id() const override { return "CPU"; }
  bool native(const std::string&) const override { return native_; }
  std::shared_ptr<const CompiledModel> compile(const ModelSource&, const CompileOptions&,
                                               const CacheFolder&) const override {
    return nullptr;
  }

 private:
  std::string library_;
  bool native_;
};

/// Elsewhere than on x86-64 a processor does not say what it is, so that OpenVINO is opened when the device is asked
/// for.
bool opened_at_once() { return processor().name.empty(); }

std::string library_of_this_version() { return on_demand_cpu({})->library(); }

class OnDemand : public ::testing::Test {
 protected:
  void SetUp() override { bundle_ = read_bundle(testing::write_tiny_bundle(folder_.path("bundle"))); }
  void compile(const Backend& backend) const {
    static_cast<void>(backend.compile(bundle_.model("encoder"), {"f32", 0, {}}, CacheFolder("none", nullptr)));
  }
  /// The message of a CPU's engine, with plugins in `folder`.
  template <class E>
  std::string message_with(const std::string& folder) {
    const ScopedVariable named("MEDSAM_ENGINE_PLUGIN_DIR", folder);
    EngineOptions options;
    options.cache_dir = "none";
    options.profile = "";
    return message_of<E>([&] { Engine(folder_.path("bundle"), options); });
  }

  testing::TemporaryFolder folder_;
  Bundle bundle_;
};

TEST_F(OnDemand, WhatAPlanAsksIsAnsweredWithoutOpening) {
  if (opened_at_once()) GTEST_SKIP() << "this processor does not say what it is";
  const auto backend = create_backend("CPU");
  EXPECT_EQ(backend->library().find("OpenVINO 20"), 0u) << backend->library();
  EXPECT_EQ(backend->device_id(), "CPU");
  EXPECT_NE(backend->device_name(), "");
  EXPECT_TRUE(backend->native("f32"));
  EXPECT_FALSE(backend->native("bf16_fused")) << "the native room's";
  EXPECT_FALSE(openvino_is_loaded());
}

TEST_F(OnDemand, TheFirstCompileOpensAndLaterOnesDoNot) {
  int opened = 0;
  const std::string library = library_of_this_version();
  const auto backend = on_demand_cpu([&]() -> std::unique_ptr<Backend> {
    ++opened;
    return std::make_unique<Opened>(library, true);
  });
  EXPECT_TRUE(backend->native("f32"));
  EXPECT_EQ(opened, 0);
  compile(*backend);
  compile(*backend);
  EXPECT_EQ(opened, 1);
  EXPECT_NE(backend->device_name(), "opened") << "the name, a key of the tuning, is the same before and after";
}

TEST_F(OnDemand, AnotherVersionIsRefused) {
  const auto backend = on_demand_cpu([] { return std::make_unique<Opened>("OpenVINO 1999.1.0", true); });
  for (int time = 0; time < 2; ++time) {
    const std::string message = message_of<BackendError>([&] { compile(*backend); });
    expect_names(message, "got OpenVINO 1999.1.0");
    expect_names(message, "expected " + backend->library());
  }
}

TEST_F(OnDemand, AFormatThatItDoesNotComputeAfterAllIsRefused) {
  const std::string library = library_of_this_version();
  const auto backend = on_demand_cpu([&] { return std::make_unique<Opened>(library, false); });
  expect_names(message_of<BackendError>([&] { compile(*backend); }), "f32");
}

TEST_F(OnDemand, AMissingPluginIsUnsupportedInOneLine) {
  const testing::TemporaryFolder empty;
  const std::string message = message_with<Unsupported>(empty.path());
  expect_names(message, plugin_file() + " is not in " + empty.path());
  expect_names(message, "without_plugins");
  expect_names(message, library_of_this_version().substr(9));
  std::vector<std::string> devices = {"GPU", "NPU", "AUTO"};
  if (opened_at_once()) devices.emplace_back("CPU");
  for (const std::string& device : devices) {
    expect_names(message_of<Unsupported>([&] { static_cast<void>(create_backend(device)); }), "OpenVINO plugin");
  }
  EXPECT_FALSE(openvino_is_loaded());
}

TEST_F(OnDemand, AnEngineThatCompilesNoGraphDoesNotOpenIt) {
  if (opened_at_once()) GTEST_SKIP() << "this processor does not say what it is";
  // Its experts are compiled when an image is of one.
  const std::string routed = testing::copy_bundle("tiny_routed", folder_.path("routed"));
  EngineOptions options;
  options.cache_dir = folder_.path("cache");
  options.profile = "";
  const Engine engine(routed, options);
  EXPECT_EQ(engine.info().backend, create_backend("CPU")->library());
  EXPECT_EQ(engine.info().device, create_backend("CPU")->device_name());
  EXPECT_EQ(engine.info().encoder_precision, "f32");
  EXPECT_FALSE(openvino_is_loaded());
  const std::vector<std::uint8_t> pixels(32 * 32, 51);
  const ImageView image{pixels.data(), PixelType::u8, 32, 32, 1, 32};
  for (int time = 0; time < 2; ++time) {
    expect_names(message_of<Unsupported>([&] { static_cast<void>(engine.encode(image, {"CT"})); }), "OpenVINO plugin");
  }
}

TEST_F(OnDemand, APluginOfAnotherVersionIsRefused) {
  const std::string message = message_with<BackendError>(MEDSAM_ENGINE_TEST_FOREIGN "version");
  expect_names(message, "got version 0.0.7, expected " MEDSAM_ENGINE_TEST_VERSION);
}

TEST_F(OnDemand, APluginWithATableOfAnotherFormIsRefused) {
  expect_names(message_with<BackendError>(MEDSAM_ENGINE_TEST_FOREIGN "table"), "got version none");
}

TEST_F(OnDemand, APluginThatIsNoLibraryIsABackendError) {
  const testing::TemporaryFolder folder;
  testing::write_file(folder.path(plugin_file()), "not a library");
  const std::string message = message_with<BackendError>(folder.path());
  expect_names(message, "cannot be loaded");
  expect_names(message, "; install OpenVINO: pip install openvino==20");
}

}  // namespace
}  // namespace medsam::backends
