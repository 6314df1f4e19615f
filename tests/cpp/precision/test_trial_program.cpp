// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The program that tries an int8 graph apart, with the real backend in it.
#include <gtest/gtest.h>

#include <filesystem>

#include "medsam/error.hpp"
#include "support/built_plugin.hpp"
#include "support/engine_test.hpp"
#include "support/stand_in_trial.hpp"

namespace medsam {
namespace {

namespace fs = std::filesystem;

class TrialProgram : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    nlohmann::json manifest = testing::tiny_manifest();
    manifest["quantized"]["encoder"] = manifest["models"]["encoder"];
    manifest["quantized"]["encoder"]["rest"] = "f32";
    testing::write_tiny_bundle(bundle_, manifest);
    options_.precision = "int8";
    options_.allow_uncertified = true;
  }
};

TEST_F(TrialProgram, RunsTheGraphAndTheHostLoadsIt) {
  const testing::ScopedVariable folder("MEDSAM_ENGINE_HELPER_DIR", MEDSAM_ENGINE_TEST_APPS_DIR);
  const Engine engine(bundle_, options_);
  EXPECT_EQ(engine.info().encoder_precision, "int8");
  EXPECT_TRUE(engine.encode(image()).valid());
  EXPECT_FALSE(fs::is_empty(folder_.path("cache/tried")));
}

TEST_F(TrialProgram, AProcessThatDiesOnTheWayIsSeen) {
  // The real program, with too little processor time to come to an answer.
  const testing::StandInTrial trial("ulimit -t 0; exec '" MEDSAM_ENGINE_TEST_APPS_DIR "/medsam-trial' \"$@\"");
  EXPECT_THROW(Engine(bundle_, options_), BackendError);
}

}  // namespace
}  // namespace medsam
