// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Certificates for stages on this library's own kernels, encoder and decoder each: where they hold, and what "f32" and
// "auto" make of them.
#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "medsam/error.hpp"
#include "precision/resolve.hpp"

namespace medsam {
namespace {

const std::string kEncoder = native_identity("encoder hash", "fused 1");
const std::string kDecoder = native_identity("decoder hash", "fused decoder 1");

class FusedStages : public ::testing::Test {
 protected:
  FusedStages() {
    for (const char* name : {"f32", "bf16"}) {
      add(Stage::encoder, name, "");
      add(Stage::decoder, name, "");
    }
  }
  void add(Stage stage, const char* name, const std::string& identity) {
    Variant& variant = variants_.emplace_back();
    variant.stage = stage;
    variant.arithmetic = find_arithmetic(stage, name);
    here_.runs.push_back({&variant, nullptr, identity, true});
  }
  void add_fused(Stage stage) {
    for (const char* name : {kF32Fused, kBf16Fused}) add(stage, name, stage == Stage::encoder ? kEncoder : kDecoder);
  }
  // A certificate of this machine that is above every bar.
  static Certificate measured(const std::string& encoder, const std::string& decoder) {
    Certificate c;
    c.name = encoder.starts_with("f32") && decoder.starts_with("f32") ? "f32" : "bf16";
    c.encoder.arithmetic = find_arithmetic(Stage::encoder, encoder);
    c.decoder.arithmetic = find_arithmetic(Stage::decoder, decoder);
    if (c.encoder.arithmetic->own_kernels) c.encoder.identity = kEncoder;
    if (c.decoder.arithmetic->own_kernels) c.decoder.identity = kDecoder;
    c.model_hash = "hash";
    c.backend = "fake 1";
    c.device = "CPU";
    c.images = 40;
    c.agreement_mean = 0.9999, c.agreement_worst = 0.999;
    c.origin = CertificateOrigin::machine;
    return c;
  }
  std::string chosen(const std::string& wanted, std::vector<Certificate> certificates) {
    here_.certificates = std::move(certificates);
    try {
      const Choice choice = choose(wanted, false, here_);
      return choice.precision + ": " + choice.pair();
    } catch (const Unsupported& error) {
      return error.what();
    }
  }
  std::deque<Variant> variants_;
  Situation here_{{}, "hash", "fake 1", "CPU", {}, false};
};

constexpr const char* kOtherFused = "its certificate is for other fused weights or other kernels";

TEST_F(FusedStages, ACertificateIsForTheVeryFilesAndKernelsOfBothStages) {
  add_fused(Stage::encoder);
  add_fused(Stage::decoder);
  for (const auto& [encoder, decoder] :
       {std::pair(kBf16Fused, kBf16Fused), {kF32Fused, kF32Fused}, {kF32Fused, kBf16Fused}, {"f32", kBf16Fused}}) {
    EXPECT_EQ(refusal(measured(encoder, decoder), here_), "");
    for (const std::string& other : {native_identity("decoder hash", "fused decoder 2"),
                                     native_identity("other", "fused decoder 1"), kEncoder, std::string()}) {
      Certificate c = measured(encoder, decoder);
      c.decoder.identity = other;
      EXPECT_EQ(refusal(c, here_), kOtherFused) << other;
    }
  }
  Certificate c = measured(kBf16Fused, kBf16Fused);
  c.encoder.identity = native_identity("encoder hash", "fused 2");
  EXPECT_EQ(refusal(c, here_), kOtherFused);
}

// The vendor's library has no part in what own kernels compute, and an exported graph in f32 is the same everywhere.
TEST_F(FusedStages, TheGraphsBackendMattersWhereItApproximates) {
  add_fused(Stage::encoder);
  add_fused(Stage::decoder);
  here_.backend = "fake 2";
  const std::string other = "its certificate is for fake 1, this is fake 2";
  for (const auto& [encoder, decoder, refused] : {std::tuple(kBf16Fused, kBf16Fused, false),
                                                  {kF32Fused, kF32Fused, false},
                                                  {kBf16Fused, "f32", false},
                                                  {"f32", kF32Fused, false},
                                                  {kBf16Fused, "bf16", true},
                                                  {"bf16", kBf16Fused, true},
                                                  {"f32", "bf16", true}}) {
    EXPECT_EQ(refusal(measured(encoder, decoder), here_), refused ? other : "") << encoder << "/" << decoder;
  }
}

TEST_F(FusedStages, OwnKernelsRunOnTheProcessor) {
  add_fused(Stage::encoder);
  add_fused(Stage::decoder);
  here_.device = "GPU";
  for (const auto& [encoder, decoder] : {std::pair(kBf16Fused, kBf16Fused), {"f32", kF32Fused}, {kF32Fused, "f32"}}) {
    EXPECT_EQ(refusal(measured(encoder, decoder), here_), "its certificate is for the device CPU");
  }
}

TEST_F(FusedStages, TwoStagesInF32HaveTheBarsOfF32) {
  add_fused(Stage::encoder);
  add_fused(Stage::decoder);
  for (const auto& [encoder, decoder] : {std::pair(kF32Fused, kF32Fused), {"f32", kF32Fused}, {kF32Fused, "f32"}}) {
    EXPECT_EQ(refusal(measured(encoder, decoder), here_), "");
    Certificate c = measured(encoder, decoder);
    c.agreement_mean = 0.9998;
    EXPECT_EQ(refusal(c, here_), "its certificate shows other masks than f32's");
    c = measured(encoder, decoder);
    c.agreement_worst = 0.9989;
    EXPECT_EQ(refusal(c, here_), "its certificate shows other masks than f32's");
  }
  Certificate rounded = measured(kF32Fused, kBf16Fused);
  rounded.agreement_mean = 0.991, rounded.agreement_worst = 0.8;
  EXPECT_EQ(refusal(rounded, here_), "");
}

TEST_F(FusedStages, F32TakesTheMostOwnKernelsThatAreCertified) {
  add_fused(Stage::encoder);
  add_fused(Stage::decoder);
  const Certificate both = measured(kF32Fused, kF32Fused), encoder = measured(kF32Fused, "f32"),
                    decoder = measured("f32", kF32Fused), bf16 = measured(kBf16Fused, kBf16Fused);
  EXPECT_EQ(chosen("f32", {}), "f32: f32/f32");
  EXPECT_EQ(chosen("f32", {encoder, both, decoder, bf16}), "f32: f32_fused/f32_fused");
  EXPECT_EQ(chosen("f32", {encoder, decoder, bf16}), "f32: f32_fused/f32");
  EXPECT_EQ(chosen("f32", {decoder, bf16}), "f32: f32/f32_fused");
  EXPECT_EQ(chosen("f32", {bf16}), "f32: f32/f32");
  EXPECT_EQ(chosen("f32/f32", {both}), "f32: f32/f32") << "the exact graphs";
  EXPECT_EQ(chosen("f32_fused/f32_fused", {both}), "f32: f32_fused/f32_fused");
  Certificate other = both;
  other.decoder.identity = native_identity("decoder hash", "fused decoder 2");
  EXPECT_EQ(chosen("f32", {other, encoder}), "f32: f32_fused/f32");
}

TEST_F(FusedStages, AutoTakesTheFastestDecoderOfTheFastestEncoder) {
  add_fused(Stage::encoder);
  add_fused(Stage::decoder);
  const std::vector<std::pair<const char*, const char*>> ranks = {
      {"f32", kF32Fused},      {"f32", "bf16"},     {"f32", kBf16Fused},     {kF32Fused, "f32"},
      {kF32Fused, kF32Fused},  {kF32Fused, "bf16"}, {kF32Fused, kBf16Fused}, {"bf16", "bf16"},
      {"bf16", kBf16Fused},    {kBf16Fused, "f32"}, {kBf16Fused, kF32Fused}, {kBf16Fused, "bf16"},
      {kBf16Fused, kBf16Fused}};
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    for (std::size_t j = 0; j < ranks.size(); ++j) {
      const Certificate one = measured(ranks[i].first, ranks[i].second);
      const Certificate two = measured(ranks[j].first, ranks[j].second);
      const Certificate& best = i > j ? one : two;
      EXPECT_EQ(chosen("auto", {one, two}),
                best.name + ": " + ranks[std::max(i, j)].first + "/" + ranks[std::max(i, j)].second)
          << i << " " << j;
    }
  }
  EXPECT_EQ(chosen("bf16", {measured(kBf16Fused, "bf16"), measured(kBf16Fused, kBf16Fused)}),
            "bf16: bf16_fused/bf16_fused");
}

// A bundle that was exported before decoders could be native goes on as it was.
TEST_F(FusedStages, WithoutANativeDecoderTheEncodersCertificatesCount) {
  add_fused(Stage::encoder);
  const std::vector<Certificate> all = {measured(kF32Fused, kF32Fused), measured(kBf16Fused, kBf16Fused),
                                        measured(kF32Fused, "f32"), measured(kBf16Fused, "bf16")};
  EXPECT_EQ(chosen("f32", all), "f32: f32_fused/f32");
  EXPECT_EQ(chosen("auto", all), "bf16: bf16_fused/bf16");
  EXPECT_EQ(refusal(all[1], here_), kOtherFused);
}

}  // namespace
}  // namespace medsam
