// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// An int8 graph without a certificate is tried in a process of its own: that one dies, the host does not.
#include <gtest/gtest.h>

#include <csignal>
#include <sstream>
#include <thread>

#include "base/sha256.hpp"
#include "bundle/bundle.hpp"
#include "medsam/error.hpp"
#include "support/engine_test.hpp"
#include "support/fake_backend.hpp"
#include "support/raised.hpp"
#include "support/stand_in_trial.hpp"

namespace medsam {
namespace {

using nlohmann::json;
using testing::StandInTrial;

class Trial : public EngineTest {
 protected:
  void SetUp() override {
    if (!testing::kPosix) GTEST_SKIP() << "the program that stands in for medsam-trial is a shell script";
    EngineTest::SetUp();
    manifest_ = testing::tiny_manifest();
    manifest_["quantized"]["encoder"] = manifest_["models"]["encoder"];
    manifest_["quantized"]["encoder"]["rest"] = "f32";
    testing::write_tiny_bundle(bundle_, manifest_);
    options_.precision = "int8";
    options_.allow_uncertified = true;
  }
  [[nodiscard]] std::string load() const {
    try {
      return Engine(bundle_, options_).info().encoder_precision;
    } catch (const Error& e) {
      return e.what();
    }
  }
  // Loads and asks all models, of which some are loaded at their first use; "" or the error.
  std::string run() {
    try {
      const Engine engine(bundle_, options_);
      const ImageEmbedding embedding = engine.encode(image());
      const std::vector<float> logits(testing::kMaskSide * testing::kMaskSide);
      Prompt prompt;
      prompt.box = Box{3, 3, 20, 20};
      static_cast<void>(engine.predict(embedding, {prompt}));
      prompt.mask_input = logits.data();
      static_cast<void>(engine.predict(embedding, {prompt}));
      return "";
    } catch (const Error& e) {
      return e.what();
    }
  }
  json manifest_;
};

TEST_F(Trial, ACrashIsAnErrorOfTheHost) {
  const StandInTrial trial("kill -FPE $$");
  testing::fake_backend().take_compiled();
  try {
    const Engine engine(bundle_, options_);
    FAIL() << "loaded";
  } catch (const BackendError& e) {
    const std::string text = e.what();
    EXPECT_NE(text.find("encoder.onnx: the process that tried this graph ended by signal 8"), std::string::npos)
        << text;
    EXPECT_NE(text.find("use precision f32"), std::string::npos) << text;
    EXPECT_EQ(text.find('\n'), std::string::npos);
  }
  for (const std::string& compiled : testing::fake_backend().take_compiled()) {
    EXPECT_EQ(compiled.find("encoder"), std::string::npos) << "it may not be compiled here";
  }
  EXPECT_NE(load(), "int8") << "and a second time, too: no success is remembered";
  EXPECT_EQ(trial.runs(), 2);
}

TEST_F(Trial, EveryOtherEndWithoutAnAnswerIsACrash) {
  for (const char* script : {"exit 0", "exit 3", "kill -KILL $$", "kill -SEGV $$", "echo 'medsam-trial: o'; exit 0"}) {
    const StandInTrial trial(script);
    EXPECT_NE(load().find("the process that tried this graph ended"), std::string::npos) << script;
  }
}

TEST_F(Trial, ASuccessIsRememberedByTheCache) {
  const StandInTrial trial;
  EXPECT_EQ(load(), "int8");
  EXPECT_EQ(load(), "int8");
  EXPECT_EQ(trial.runs(), 1);
  trial.remove();
  EXPECT_EQ(load(), "int8");
  options_.cache_dir = folder_.path("another");
  EXPECT_NE(load(), "int8");
}

TEST_F(Trial, IsToldWhatToLoad) {
  const StandInTrial trial;
  trial.write("printf '%s\\n' \"$@\" > '" + trial.path("words") + "'; echo \"$MEDSAM_ENGINE_TRIAL\" >> '" +
              trial.path("words") + "'; echo 'noise before'; echo 'medsam-trial: ok'; echo 'noise after'");
  options_.threads = 3;
  EXPECT_EQ(load(), "int8");
  std::ostringstream words;
  words << std::ifstream(trial.path("words")).rdbuf();
  EXPECT_EQ(words.str(), bundle_ + "\nCPU\nint8/f32\n3\n1\n");
}

TEST_F(Trial, AnErrorThereIsLeftToTheHost) {
  const StandInTrial trial("echo 'medsam-trial: refused'");
  EXPECT_EQ(load(), "int8") << "the fake backend has no objection";
  EXPECT_EQ(load(), "int8");
  EXPECT_EQ(trial.runs(), 2) << "not remembered as a success";
}

TEST_F(Trial, WithoutTheProgramNothingIsRisked) {
  const StandInTrial trial;
  trial.remove();
  EXPECT_THROW(Engine(bundle_, options_), Unsupported);
  EXPECT_NE(load().find("medsam-trial is not in"), std::string::npos) << load();
}

TEST_F(Trial, ACertificateDoesNotSpareIt) {
  const StandInTrial trial("kill -FPE $$");
  manifest_["certificates"] = {{{"precision", "int8"},
                                {"stages", {{"encoder", "int8"}, {"decoder", "f32"}}},
                                {"quantized", {{"encoder", manifest_["quantized"]["encoder"]["sha256"]}}},
                                {"model_hash", read_bundle(bundle_).model_hash},
                                {"backend", "fake 1"},
                                {"device", "CPU"},
                                {"measured",
                                 {{"images", 40},
                                  {"agreement_mean", 1.0},
                                  {"agreement_worst", 1.0},
                                  {"truth_f32", nullptr},
                                  {"truth", nullptr},
                                  {"worst_loss", nullptr}}}}};
  testing::write_tiny_bundle(bundle_, manifest_);
  options_.allow_uncertified = false;
  options_.trust_bundle_certificates = true;
  EXPECT_NE(load().find("the process that tried this graph ended"), std::string::npos) << load();
  EXPECT_GE(trial.runs(), 1);
}

TEST_F(Trial, AnyGraphThatQuantizesIsTriedInAnyPrecision) {
  // A node QuantizeLinear, in protobuf: model.graph (7) .node (1) .op_type (4).
  const std::string graph("\x3a\x12\x0a\x10\x22\x0eQuantizeLinear", 20);
  for (const char* role : {"encoder", "decoder", "decoder_mask"}) {
    nlohmann::json manifest = testing::tiny_manifest();
    const std::string file = manifest["models"][role]["file"];
    manifest["models"][role]["bytes"] = graph.size();
    manifest["models"][role]["sha256"] = sha256_hex(graph);
    testing::write_tiny_bundle(bundle_, manifest);
    testing::write_file(bundle_ + "/" + file, graph);
    for (const char* precision : {"f32", "auto", "bf16"}) {
      options_.precision = precision;
      const StandInTrial trial("kill -FPE $$");
      options_.cache_dir = folder_.path(std::string("cache of ") + role + precision);
      EXPECT_NE(run().find(file + ": the process that tried this graph ended"), std::string::npos) << role << precision;
      EXPECT_EQ(trial.runs(), 1);
      trial.write("echo 'medsam-trial: ok'");
      EXPECT_EQ(run(), "") << role << precision;
      EXPECT_EQ(run(), "") << role << precision;
      EXPECT_EQ(trial.runs(), 2) << "remembered by the cache";
    }
  }
}

TEST_F(Trial, OtherPrecisionsAreNotTried) {
  const StandInTrial trial("kill -FPE $$");
  for (const char* precision : {"f32", "bf16", "auto"}) {
    options_.precision = precision;
    EXPECT_NO_THROW(Engine(bundle_, options_)) << precision;
  }
  EXPECT_EQ(trial.runs(), 0);
}

TEST_F(Trial, TheProcessThatTriesDoesNotTryAgain) {
  const StandInTrial trial("kill -FPE $$");
  testing::set_environment("MEDSAM_ENGINE_TRIAL", "1");
  EXPECT_EQ(load(), "int8");
  testing::unset_environment("MEDSAM_ENGINE_TRIAL");
  EXPECT_EQ(trial.runs(), 0);
}

#ifndef _WIN32
TEST_F(Trial, AHostThatIgnoresItsChildrenLearnsTheSame) {
  const StandInTrial trial("kill -FPE $$");
  const auto before = std::signal(SIGCHLD, SIG_IGN);  // waitpid then has no status to give
  EXPECT_NE(load().find("ended without an answer"), std::string::npos) << load();
  trial.write("echo 'medsam-trial: ok'");
  EXPECT_EQ(load(), "int8");
  std::signal(SIGCHLD, before);
}
#endif

TEST_F(Trial, ManyThreadsMayTryAtOnce) {
  const StandInTrial trial;
  options_.cache_dir = "none";
  std::vector<std::string> loaded(4);
  std::vector<std::thread> threads;
  for (std::string& one : loaded) threads.emplace_back([&] { one = load(); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(loaded, std::vector<std::string>(4, "int8"));
  EXPECT_EQ(trial.runs(), 4);
}

TEST_F(Trial, AProgramThatCannotBeStartedIsAnError) {
  const StandInTrial trial;
  testing::write_file(trial.path("medsam-trial"), "neither a script nor a program");
  options_.cache_dir = "none";
  EXPECT_NE(testing::raised<BackendError>([&] { Engine(bundle_, options_); }).find("cannot be started"),
            std::string::npos);
}

}  // namespace
}  // namespace medsam
