// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Which certificates hold, and what is chosen by them.
#include <gtest/gtest.h>

#include <deque>
#include <limits>

#include "bundle/bundle.hpp"
#include "medsam/engine.hpp"
#include "medsam/error.hpp"
#include "precision/resolve.hpp"
#include "support/engine_test.hpp"
#include "support/fake_backend.hpp"

namespace medsam {
namespace {

/// A machine that computes in everything but f16, and a bundle with the exact graphs and what is added to them.
class Machine {
 public:
  explicit Machine(std::vector<Certificate> certificates = {}) {
    here = {std::move(certificates), "hash", "fake 1", "CPU", {}, false};
    for (const char* name : {"f32", "bf16"}) add(name).add(name, "", Stage::decoder);
    add("bf16_mixed").add("f16", "", Stage::encoder, false).add("f16", "", Stage::decoder, false);
  }
  Machine& add(const char* name, const std::string& identity = "", Stage stage = Stage::encoder, bool native = true) {
    Variant& variant = variants_.emplace_back();
    variant.stage = stage;
    variant.arithmetic = find_arithmetic(stage, name);
    here.runs.push_back({&variant, nullptr, identity, native});
    return *this;
  }
  Machine(Machine&&) = default;  // not copied: `here` points into variants_

  Situation here;

 private:
  std::deque<Variant> variants_;
};

struct Chosen {
  std::string name, encoder, decoder;
};
Chosen choose_on(const Machine& machine, const std::string& wanted, bool allow = false) {
  const Choice choice = choose(wanted, allow, machine.here);
  return {choice.precision, choice.encoder.name(), choice.decoder.name()};
}

Certificate good(const std::string& encoder = "bf16", const std::string& decoder = "f32") {
  Certificate c;
  c.name = "bf16";
  c.encoder.arithmetic = find_arithmetic(Stage::encoder, encoder);
  c.decoder.arithmetic = find_arithmetic(Stage::decoder, decoder);
  c.model_hash = "hash";
  c.backend = "fake 1";
  c.device = "CPU";
  c.images = 40;
  c.agreement_mean = 0.98;
  c.truth_f32 = 0.8;
  c.truth = 0.7985;
  c.worst_loss = 0.05;
  c.origin = CertificateOrigin::project;
  return c;
}

Certificate good_int8() {
  Certificate c = good("int8", "f32");
  c.name = "int8";
  c.encoder.identity = "int8 hash";
  return c;
}

std::string fault(const Certificate& c, const std::string& model_hash = "hash", const std::string& backend = "fake 1",
                  const std::string& device = "CPU", const std::string& int8 = "int8 hash") {
  Machine machine;
  machine.here.model_hash = model_hash;
  machine.here.backend = backend;
  machine.here.device = device;
  if (!int8.empty()) machine.add("int8", int8);
  return refusal(c, machine.here);
}

TEST(Certificate, HoldsOnlyForWhatItWasMeasuredOn) {
  EXPECT_EQ(fault(good()), "");
  EXPECT_NE(fault(good(), "other"), "");
  EXPECT_NE(fault(good(), "hash", "fake 2"), "");
  EXPECT_NE(fault(good(), "hash", "fake 1", "GPU"), "");
}

TEST(Certificate, OfInt8NamesTheVeryInt8Encoder) {
  EXPECT_EQ(fault(good_int8()), "");
  EXPECT_NE(fault(good_int8(), "hash", "fake 1", "CPU", "another int8 hash"), "");
  EXPECT_NE(fault(good_int8(), "hash", "fake 1", "CPU", ""), "");
  Certificate unnamed = good_int8();
  unnamed.encoder.identity = "";
  EXPECT_NE(fault(unnamed, "hash", "fake 1", "CPU", ""), "");
}

Certificate good_half() {
  Certificate c = good("f16", "f16");
  c.name = "f16";
  c.backend = "the graph's types";
  c.device = "any";
  c.encoder.identity = c.decoder.identity = "f16 hash";
  c.largest = 32752;
  return c;
}

TEST(Certificate, OfF16GraphsHoldsWhereverTheyAreRun) {
  const auto fault_on = [](const Certificate& c, const std::string& graphs) {
    Machine machine;
    machine.here.backend = "TensorRT 1";
    machine.here.device = "cuda:0";
    for (StageRun& run : machine.here.runs) {
      if (run.name() == "f16") run.identity = graphs, run.native = true;
    }
    return refusal(c, machine.here);
  };
  EXPECT_EQ(fault_on(good_half(), "f16 hash"), "");
  EXPECT_NE(fault_on(good_half(), "another f16 hash"), "");
  EXPECT_NE(fault_on(good_half(), ""), "") << "a backend that runs the exact graph in f16";
  Certificate beside_bf16 = good_half();
  beside_bf16.decoder = {find_arithmetic(Stage::decoder, "bf16"), ""};
  EXPECT_NE(fault_on(beside_bf16, "f16 hash"), "") << "bf16 is what its backend makes of it";
  Certificate close = good_half();
  close.largest = 32753;
  EXPECT_NE(fault_on(close, "f16 hash"), "");
  close.largest = std::numeric_limits<double>::quiet_NaN();
  EXPECT_NE(fault_on(close, "f16 hash"), "");
  close.largest.reset();
  EXPECT_NE(fault_on(close, "f16 hash"), "") << "nobody looked";
  Certificate hinted = good_half();
  hinted.encoder.identity = hinted.decoder.identity = "";
  hinted.backend = "TensorRT 1";
  hinted.device = "cuda:0";
  EXPECT_NE(fault_on(hinted, "f16 hash"), "") << "the graphs that would run were not what was measured";
}

TEST(Certificate, EveryBarCounts) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto broken = [](auto change) {
    Certificate c = good();
    change(c);
    return fault(c);
  };
  EXPECT_NE(broken([](Certificate& c) { c.images = 39; }), "");
  EXPECT_NE(broken([](Certificate& c) { c.agreement_mean = 0.9799; }), "");
  EXPECT_NE(broken([&](Certificate& c) { c.agreement_mean = nan; }), "");
  EXPECT_NE(broken([](Certificate& c) { c.truth = 0.797; }), "");
  EXPECT_NE(broken([&](Certificate& c) { c.truth = nan; }), "");
  EXPECT_NE(broken([](Certificate& c) { c.worst_loss = 0.051; }), "");
  EXPECT_NE(broken([](Certificate& c) { c.truth = std::nullopt; }), "") << "without truth 0.98 is not enough";
  EXPECT_EQ(broken([](Certificate& c) {
              c.truth = std::nullopt;
              c.agreement_mean = 0.99;
            }),
            "");
}

class ChoosePrecision : public ::testing::Test {
 protected:
  Chosen choose(const std::string& wanted, bool allow = false) { return choose_on(machine(), wanted, allow); }
  Machine machine() {
    Machine made(certificates_);
    if (!int8_.empty()) made.add("int8", int8_);
    if (!fused_.empty()) made.add(kF32Fused, fused_).add(kBf16Fused, fused_);
    return made;
  }
  std::vector<Certificate> certificates_;
  std::string int8_, fused_;
};

TEST_F(ChoosePrecision, NeverApproximatesUnasked) {
  certificates_ = {good("bf16", "bf16")};
  EXPECT_EQ(choose("f32").encoder, "f32");
  certificates_.clear();
  EXPECT_EQ(choose("auto").name, "f32");
  EXPECT_THROW(choose("bf16"), Unsupported);
  EXPECT_THROW(choose("int8"), Unsupported);
  EXPECT_THROW(choose("int8", true), Unsupported);
  EXPECT_THROW(choose("fp16"), InvalidArgument);
}

TEST_F(ChoosePrecision, TakesWhatTheCertificateCovers) {
  certificates_ = {good()};
  for (const char* wanted : {"bf16", "auto"}) {
    EXPECT_EQ(choose(wanted).encoder, "bf16");
    EXPECT_EQ(choose(wanted).decoder, "f32");
  }
  certificates_ = {good(), good("bf16", "bf16"), good("f32", "bf16")};
  EXPECT_EQ(choose("auto").decoder, "bf16") << "the one that covers most";
  EXPECT_EQ(choose("auto").encoder, "bf16");
}

TEST_F(ChoosePrecision, WhatTheProcessorLacksIsNotUsed) {
  certificates_ = {good("f16", "f16")};
  certificates_[0].name = "f16";
  EXPECT_EQ(choose("auto").name, "f32");
  EXPECT_THROW(choose("f16"), Unsupported);
  EXPECT_THROW(choose("f16", true), Unsupported);
}

TEST_F(ChoosePrecision, TheOverrideCoversEveryStage) {
  EXPECT_EQ(choose("bf16", true).encoder, "bf16");
  EXPECT_EQ(choose("bf16", true).decoder, "bf16");
  EXPECT_EQ(choose("bf16/f32", true).encoder, "bf16");
  EXPECT_EQ(choose("bf16/f32", true).decoder, "f32");
  EXPECT_THROW(choose("bf16/f32"), Unsupported) << "names no certificate";
  EXPECT_THROW(choose("bf16/i4", true), InvalidArgument);
  EXPECT_THROW(choose("f32/int8", true), InvalidArgument);
}

TEST_F(ChoosePrecision, APairOfStagesNeedsNoOverrideWhereItIsCertified) {
  certificates_ = {good("f32", "bf16")};
  EXPECT_EQ(choose("f32/bf16").decoder, "bf16");
  EXPECT_THROW(choose("bf16/f32"), Unsupported);
  EXPECT_THROW(choose("f16/f32", true), Unsupported) << "not native";
  EXPECT_THROW(choose("int8/f32", true), Unsupported) << "no int8 encoder";
  certificates_.push_back(good("bf16", "bf16"));
  certificates_.back().images = 3;
  try {
    choose("bf16/bf16");
    FAIL() << "ran uncertified";
  } catch (const Unsupported& error) {
    EXPECT_NE(std::string(error.what()).find("fewer than 40"), std::string::npos) << error.what();
  }
  EXPECT_EQ(choose("f32/f32").name, "f32");
}

TEST_F(ChoosePrecision, AutoNeverPicksInt8ByItself) {
  int8_ = "int8 hash";
  EXPECT_THROW(choose("int8"), Unsupported);
  EXPECT_EQ(choose("int8", true).encoder, "int8");
  EXPECT_EQ(choose("int8", true).decoder, "f32");
  certificates_ = {good_int8(), good("f32", "bf16")};
  EXPECT_EQ(choose("int8").encoder, "int8");
  EXPECT_EQ(choose("auto").encoder, "f32");
  EXPECT_EQ(choose("auto").decoder, "bf16");
}

TEST_F(ChoosePrecision, ListsWhatIsCertifiedAndNative) {
  Certificate bad = good("bf16", "bf16");
  bad.agreement_mean = 0.9;
  certificates_ = {bad, good("f32", "bf16"), good("f32", "bf16"), good("f16", "f16"), good_int8()};
  EXPECT_EQ(certified_pairs(machine().here), (std::vector<std::string>{"f32/f32", "f32/bf16"}));
  int8_ = "int8 hash";
  EXPECT_EQ(certified_pairs(machine().here), (std::vector<std::string>{"f32/f32", "f32/bf16", "int8/f32"}));
  EXPECT_TRUE(certified_stages("int8", "f32", machine().here));
  EXPECT_FALSE(certified_stages("int8", "bf16", machine().here));
  EXPECT_FALSE(certified_stages("bf16", "bf16", machine().here));
}

TEST_F(ChoosePrecision, TakesAFusedEncoderOnlyOfTheMeasuredFileAndKernels) {
  Certificate fused = good("bf16_fused", "f32");
  fused.encoder.identity = native_identity("hash", "fused 1");
  certificates_ = {fused, good("bf16", "bf16")};
  EXPECT_EQ(choose("auto").encoder, "bf16") << "there is no fused encoder here";
  for (const std::string& other : {native_identity("other", "fused 1"), native_identity("hash", "fused 2")}) {
    fused_ = other;
    EXPECT_EQ(choose("auto").encoder, "bf16") << other;
    EXPECT_THROW(choose("bf16_fused/f32"), Unsupported);
  }
  fused_ = fused.encoder.identity;
  EXPECT_EQ(choose("auto").encoder, "bf16_fused") << "the faster one";
  EXPECT_EQ(choose("bf16_fused/f32").encoder, "bf16_fused");
  certificates_ = {good("bf16_fused", "f32")};  // names no fused encoder
  EXPECT_EQ(choose("auto").name, "f32");
}

TEST_F(ChoosePrecision, ComputesInF32OnItsOwnKernelsWhereTheMasksAreTheSame) {
  Certificate same = good("f32_fused", "f32");
  same.name = "f32";
  same.agreement_mean = 0.99995;
  same.agreement_worst = 0.9995;
  same.encoder.identity = native_identity("hash", "fused 1");
  certificates_ = {same, good("f32", "bf16")};
  EXPECT_EQ(choose("f32").encoder, "f32") << "there is no fused encoder here";
  fused_ = same.encoder.identity;
  EXPECT_EQ(choose("f32").encoder, "f32_fused");
  EXPECT_EQ(choose("f32").name, "f32");
  EXPECT_EQ(choose("f32/f32").encoder, "f32") << "the exact graph, by name";
  EXPECT_EQ(choose("auto").encoder, "f32_fused");
  for (const auto& [mean, worst] : {std::pair(0.99985, 0.9995), std::pair(0.99995, 0.9985), std::pair(0.99995, 0.0)}) {
    certificates_[0].agreement_mean = mean;
    certificates_[0].agreement_worst = worst;
    EXPECT_EQ(choose("f32").encoder, "f32") << mean << " " << worst;
    EXPECT_THROW(choose("f32_fused/f32"), Unsupported);
    EXPECT_EQ(choose("f32_fused/f32", true).encoder, "f32_fused");
  }
}

TEST_F(ChoosePrecision, TheBundlesOwnWordCountsWhereItIsTrustedOnly) {
  certificates_ = {good("bf16", "bf16")};
  certificates_[0].origin = CertificateOrigin::bundle;
  EXPECT_EQ(choose("auto").name, "f32");
  EXPECT_EQ(certified_pairs(machine().here), std::vector<std::string>{"f32/f32"});
  for (const char* wanted : {"bf16", "bf16/bf16"}) {
    try {
      choose(wanted);
      FAIL() << "ran on the bundle's own word";
    } catch (const Unsupported& error) {
      EXPECT_NE(std::string(error.what()).find("the bundle's own word"), std::string::npos) << error.what();
    }
    EXPECT_EQ(choose(wanted, true).encoder, "bf16");
  }
  Machine trusting = machine();
  trusting.here.trust_bundle = true;
  EXPECT_EQ(choose_on(trusting, "auto").encoder, "bf16");
  for (const CertificateOrigin origin : {CertificateOrigin::project, CertificateOrigin::machine}) {
    certificates_[0].origin = origin;
    EXPECT_EQ(choose("auto").encoder, "bf16");
    EXPECT_EQ(choose("bf16").encoder, "bf16");
  }
  // A native encoder in f32 is taken for f32 by a certificate, too.
  certificates_ = {good("f32_fused", "f32")};
  certificates_[0].agreement_mean = certificates_[0].agreement_worst = 1;
  certificates_[0].encoder.identity = fused_ = native_identity("hash", "fused 1");
  EXPECT_EQ(choose("f32").encoder, "f32_fused");
  certificates_[0].origin = CertificateOrigin::bundle;
  EXPECT_EQ(choose("f32").encoder, "f32");
}

TEST_F(EngineTest, ACertificateIsReadFromTheManifest) {
  nlohmann::json manifest = testing::tiny_manifest();
  testing::write_tiny_bundle(bundle_, manifest);
  options_.precision = "bf16";
  options_.trust_bundle_certificates = true;
  EXPECT_THROW(Engine(bundle_, options_), Unsupported);
  manifest["certificates"] = {{{"precision", "bf16"},
                               {"stages", {{"encoder", "bf16"}, {"decoder", "f32"}}},
                               {"model_hash", read_bundle(bundle_).model_hash},
                               {"backend", "fake 1"},
                               {"device", "CPU"},
                               {"measured",
                                {{"images", 40},
                                 {"objects", 99},
                                 {"agreement_mean", 0.995},
                                 {"agreement_worst", 0.9},
                                 {"truth_f32", nullptr},
                                 {"truth", nullptr},
                                 {"worst_loss", nullptr},
                                 {"machine", "any"}}}}};
  testing::write_tiny_bundle(bundle_, manifest);
  const Engine engine(bundle_, options_);
  EXPECT_EQ(engine.info().precision, "bf16");
  EXPECT_EQ(engine.info().decoder_precision, "f32");
  options_.precision = "f32";
  EXPECT_NE(Engine(bundle_, options_).info().fingerprint, engine.info().fingerprint);
  manifest["certificates"][0]["measured"]["surprise"] = 1;
  testing::write_tiny_bundle(bundle_, manifest);
  EXPECT_THROW(Engine(bundle_, options_), ModelError);
}

}  // namespace
}  // namespace medsam
