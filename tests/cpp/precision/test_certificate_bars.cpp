// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Where exactly a certificate stops to hold, and what its entry in a manifest must be: by what an engine does with it.
#include <gtest/gtest.h>

#include <string>

#include "bundle/bundle.hpp"
#include "medsam/engine.hpp"
#include "medsam/error.hpp"
#include "support/engine_test.hpp"
#include "support/fake_backend.hpp"

namespace medsam {
namespace {

class CertificateBars : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    manifest_ = testing::tiny_manifest();
    testing::write_tiny_bundle(bundle_, manifest_);
    options_.precision = "bf16";
    options_.trust_bundle_certificates = true;
    good_ = {{"precision", "bf16"},
             {"stages", {{"encoder", "bf16"}, {"decoder", "f32"}}},
             {"model_hash", read_bundle(bundle_).model_hash},
             {"backend", "fake 1"},
             {"device", "CPU"},
             {"measured",
              {{"images", 40},
               {"objects", 99},
               {"agreement_mean", 0.98},
               {"agreement_worst", 0.5},
               {"truth_f32", 0.8},
               {"truth", 0.7981},
               {"worst_loss", 0.05},
               {"machine", "any"},
               {"profile", "clinical"}}}};
  }

  // Why an engine does not run in what the certificate is for; "" when it does.
  std::string refusal(const nlohmann::json& certificate) {
    manifest_["certificates"] = nlohmann::json::array({certificate});
    testing::write_tiny_bundle(bundle_, manifest_);
    try {
      const Engine engine(bundle_, options_);
      return engine.info().precision == "bf16" ? "" : "ran in " + engine.info().precision;
    } catch (const Error& error) {
      return error.what();
    }
  }

  // The same with some of what was measured changed.
  std::string refusal_of(const nlohmann::json& measured) {
    nlohmann::json certificate = good_;
    certificate["measured"].update(measured);
    return refusal(certificate);
  }

  nlohmann::json manifest_, good_;
};

void expect_says(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "got \"" << text << "\", expected \"" << part << "\" in it";
}

constexpr const char* kTooMuch = "its certificate shows that it changes the masks too much";

TEST_F(CertificateBars, WithAGroundTruthEachBarIsMetToTheLastDigit) {
  EXPECT_EQ(refusal(good_), "");
  for (const int images : {0, 39}) {
    expect_says(refusal_of({{"images", images}}), "its certificate covers fewer than 40 images");
  }
  expect_says(refusal_of({{"agreement_mean", 0.9799}}), kTooMuch);
  expect_says(refusal_of({{"truth", 0.7979}}), kTooMuch);
  expect_says(refusal_of({{"worst_loss", 0.0501}}), kTooMuch);
  EXPECT_EQ(refusal_of({{"truth", 0.9}, {"worst_loss", -0.1}}), "") << "better than f32";
}

TEST_F(CertificateBars, WithoutAllOfAGroundTruthTheAgreementMustBeHigher) {
  for (const char* field : {"truth_f32", "truth", "worst_loss"}) {
    expect_says(refusal_of({{field, nullptr}, {"agreement_mean", 0.9899}}), kTooMuch);
    EXPECT_EQ(refusal_of({{field, nullptr}, {"agreement_mean", 0.99}}), "") << field;
  }
}

TEST_F(CertificateBars, WhatItWasMeasuredOnIsWhatRuns) {
  nlohmann::json other = good_;
  other["model_hash"] = "other";
  expect_says(refusal(other), "its certificate is for other model files");
  other = good_;
  other["backend"] = "fake 2";
  expect_says(refusal(other), "its certificate is for fake 2, this is fake 1");
  other = good_;
  other["device"] = "GPU";
  expect_says(refusal(other), "its certificate is for the device GPU");
  other = good_;
  other["stages"]["decoder"] = "bf16";
  EXPECT_EQ(refusal(other), "");
}

TEST_F(CertificateBars, EveryFieldIsReadAndNoOther) {
  for (const auto& [field, value] : good_.items()) {
    nlohmann::json lacking = good_;
    lacking.erase(field);
    expect_says(refusal(lacking), field);
  }
  for (const char* field : {"images", "agreement_mean"}) {
    nlohmann::json lacking = good_;
    lacking["measured"].erase(field);
    expect_says(refusal(lacking), field);
  }
  nlohmann::json more = good_;
  more["surprise"] = 1;
  expect_says(refusal(more), "surprise");
  for (const char* part : {"stages", "measured"}) {
    more = good_;
    more[part]["surprise"] = 1;
    expect_says(refusal(more), "surprise");
  }
  for (const auto& [part, entry] : {std::pair("quantized", nlohmann::json{{"encoder", "a"}}),
                                    std::pair("fused", nlohmann::json{{"encoder", "a"}, {"backend", "b"}}),
                                    std::pair("fused", nlohmann::json{{"decoder", "a"}, {"decoder_backend", "b"}})}) {
    more = good_;
    more[part] = entry;
    EXPECT_EQ(refusal(more), "") << part;
    more[part]["surprise"] = 1;
    expect_says(refusal(more), "surprise");
  }
  expect_says(refusal_of({{"images", -1}}), "images");
  // A file without the kernels that computed it, or the other way round.
  for (const auto& [half, lacking] :
       {std::pair("encoder", "backend"), std::pair("backend", "encoder"), std::pair("decoder", "decoder_backend"),
        std::pair("decoder_backend", "decoder")}) {
    more = good_;
    more["fused"][half] = "a";
    expect_says(refusal(more), std::string("\"") + lacking + "\" is missing");
  }
}

TEST_F(CertificateBars, AStageIsInAPrecisionThatItCanHave) {
  const auto refused = [&](const char* encoder, const char* decoder) {
    nlohmann::json other = good_;
    other["stages"] = {{"encoder", encoder}, {"decoder", decoder}};
    return refusal(other);
  };
  expect_says(refused("fp16", "f32"), "f32 | f32_fused | bf16 | bf16_mixed | bf16_fused | f16 | int8");
  expect_says(refused("bf16", "fp16"), "f32 | f32_fused | bf16 | bf16_fused | f16");
  const std::string word(20, 'a');
  expect_says(refused((word + "b").c_str(), "f32"), "\"" + word + "\"");
  expect_says(refused("bf16", (word + "b").c_str()), "\"" + word + "\"");
  for (const char* encoders : {"int8", "bf16_mixed"}) {
    expect_says(refused("bf16", encoders), "f32 | f32_fused | bf16 | bf16_fused | f16");
  }
}

}  // namespace
}  // namespace medsam
