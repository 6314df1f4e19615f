// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Which of several certified precisions "auto" takes, and what a refusal names.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "medsam/error.hpp"
#include "precision/resolve.hpp"

namespace medsam {
namespace {

// A certificate that holds here.
Certificate measured(const std::string& encoder, const std::string& decoder) {
  Certificate c;
  c.name = "bf16";
  c.encoder.arithmetic = find_arithmetic(Stage::encoder, encoder);
  c.decoder.arithmetic = find_arithmetic(Stage::decoder, decoder);
  c.model_hash = "hash";
  c.backend = "fake 1";
  c.device = "CPU";
  c.images = 40;
  c.agreement_mean = 0.9999, c.agreement_worst = 0.999;  // the same masks as f32's, to the last digit
  c.origin = CertificateOrigin::project;
  return c;
}

class PrecisionChoice : public ::testing::Test {
 protected:
  // What can be run, natively, in what is named.
  void runs(Stage stage, const std::vector<std::string>& names, const std::string& identity = "") {
    for (const std::string& name : names) {
      Variant& variant = variants_.emplace_back();
      variant.stage = stage;
      variant.arithmetic = find_arithmetic(stage, name);
      here_.runs.push_back({&variant, nullptr, identity, true});
    }
  }
  [[nodiscard]] std::string chosen(const std::string& wanted) const { return choose(wanted, false, here_).pair(); }

  std::deque<Variant> variants_;
  Situation here_{{}, "hash", "fake 1", "CPU", {}, false};
};

// Each is faster than the one before it, and of two that are as fast the first counts.
TEST_F(PrecisionChoice, AutoTakesWhatMakesMostOfTheWorkFaster) {
  runs(Stage::encoder, {"f32", "bf16", "bf16_mixed"});
  runs(Stage::encoder, {"f32_fused", "bf16_fused"}, "these kernels");
  runs(Stage::decoder, {"f32", "bf16"});
  const std::vector<std::pair<std::string, std::string>> ranks = {
      {"f32", "bf16"},  {"f32_fused", "f32"},  {"f32_fused", "bf16"}, {"bf16", "f32"},
      {"bf16", "bf16"}, {"bf16_fused", "f32"}, {"bf16_fused", "bf16"}};
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    for (std::size_t j = 0; j < ranks.size(); ++j) {
      here_.certificates = {measured(ranks[i].first, ranks[i].second), measured(ranks[j].first, ranks[j].second)};
      for (Certificate& c : here_.certificates) {
        if (std::string(c.encoder.arithmetic->name).ends_with("_fused")) c.encoder.identity = "these kernels";
      }
      const auto& [encoder, decoder] = ranks[std::max(i, j)];
      EXPECT_EQ(chosen("auto"), encoder + "/" + decoder) << i << " " << j;
    }
  }
  here_.certificates = {measured("bf16", "f32"), measured("bf16_mixed", "f32")};
  EXPECT_EQ(chosen("auto"), "bf16/f32");
  std::swap(here_.certificates[0], here_.certificates[1]);
  EXPECT_EQ(chosen("auto"), "bf16_mixed/f32");
}

TEST_F(PrecisionChoice, OneStageInF16RunsTheMeasuredGraphsToo) {
  for (const Stage stage : {Stage::encoder, Stage::decoder}) {
    const bool encoder = stage == Stage::encoder;
    here_.runs.clear();
    runs(Stage::encoder, {"f32"});
    runs(Stage::decoder, {"f32"});
    runs(stage, {"f16"}, "the measured graphs");
    Certificate c = encoder ? measured("f16", "f32") : measured("f32", "f16");
    c.name = "f16";
    (encoder ? c.encoder : c.decoder).identity = "the measured graphs";
    c.largest = 1;
    here_.certificates = {c};
    EXPECT_EQ(chosen("f16"), encoder ? "f16/f32" : "f32/f16");
    here_.runs.back().identity = "other graphs";
    EXPECT_EQ(chosen("auto"), "f32/f32");
    EXPECT_THROW(static_cast<void>(chosen("f16")), Unsupported);
  }
}

TEST_F(PrecisionChoice, AMissingFileIsNamedInTheRefusal) {
  constexpr const char* kNoFused =
      "this bundle has no fused weights for that, or this device no fast products for them";
  runs(Stage::encoder, {"f32"});
  runs(Stage::decoder, {"f32"});
  for (const auto& [wanted, reason] :
       {std::pair("int8", "this bundle has no int8 encoder, which `medsam-engine quantize` makes"),
        std::pair("int8/f32", "this bundle has no int8 encoder, which `medsam-engine quantize` makes"),
        std::pair("bf16_fused/f32", kNoFused), std::pair("f32/bf16_fused", kNoFused)}) {
    for (const bool allow : {false, true}) {
      try {
        static_cast<void>(choose(wanted, allow, here_));
        ADD_FAILURE() << wanted;
      } catch (const Unsupported& error) {
        EXPECT_NE(std::string(error.what()).find(reason), std::string::npos) << error.what();
      }
    }
  }
}

}  // namespace
}  // namespace medsam
