// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// OpenVINO behind a plugin: what is said of it before it is opened is what it says itself, its errors are the engine's,
// and an engine may outlive main().
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "backends/plugin.hpp"
#include "bundle/bundle.hpp"
#include "medsam/engine.hpp"
#include "medsam/error.hpp"
#include "support/tiny_bundle.hpp"

namespace medsam::backends {
namespace {

std::unique_ptr<Backend> opened() {
  return open_plugin({"medsam_engine_openvino", "OpenVINO plugin", "test", "build it", "install it", true})
      .create("CPU");
}

TEST(OpenVinoPlugin, SaysWhatWasSaidBeforeItWasOpened) {
  const auto before = create_backend("CPU"), after = opened();
  EXPECT_EQ(before->library(), after->library());
  EXPECT_EQ(before->device_name(), after->device_name());
  EXPECT_EQ(before->device_id(), after->device_id());
  for (const char* format : {"f32", "bf16", "bf16_mixed", "f16", "int8", "bf16_fused", "f32_fused", ""}) {
    EXPECT_EQ(before->native(format), after->native(format)) << format;
  }
}

// The plugin stands on the library, this test has the core inside: the types of errors are known by their names.
TEST(OpenVinoPlugin, ItsErrorsAreTheEngines) {
  const testing::TemporaryFolder folder;
  Bundle bundle = read_bundle(testing::write_tiny_bundle(folder.path()));
  const auto backend = create_backend("CPU");
  const CacheFolder none("none", nullptr);
  EXPECT_THROW(static_cast<void>(backend->compile(bundle.model("encoder"), {"nonsense", 0, {}}, none)), Unsupported);
  const ModelSource refused(bundle.model("encoder"), [](const VerifiedModel&) { throw Cancelled("test"); });
  EXPECT_THROW(static_cast<void>(backend->compile(refused, {"f32", 0, {}}, none)), Cancelled);
  ModelFile other = bundle.model("encoder");
  other.outputs.at(0).name = "another";
  EXPECT_THROW(static_cast<void>(backend->compile(other, {"f32", 0, {}}, none)), ModelError);
}

std::unique_ptr<Engine> kept_beyond_main;

TEST(OpenVinoPluginDeathTest, AnEngineMayOutliveMain) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const testing::TemporaryFolder folder;
  const std::string bundle = testing::write_tiny_bundle(folder.path());
  const auto keep_and_exit = [&] {
    EngineOptions options;
    options.cache_dir = "none";
    options.profile = "";
    kept_beyond_main = std::make_unique<Engine>(bundle, options);
    const std::vector<std::uint8_t> pixels(32 * 32, 51);
    static_cast<void>(kept_beyond_main->encode({pixels.data(), PixelType::u8, 32, 32, 1, 32}));
    std::exit(7);
  };
  EXPECT_EXIT(keep_and_exit(), ::testing::ExitedWithCode(7), "");
}

}  // namespace
}  // namespace medsam::backends
