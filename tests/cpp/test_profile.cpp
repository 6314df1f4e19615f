// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "profile.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "medsam/engine.hpp"
#include "medsam/error.hpp"

namespace medsam {
namespace {

Json volume() {
  return {{"z_range", "closed"},        {"next_box", "mask"},
          {"box_shift", 3},             {"within_user_box", true},
          {"choice", "propagated"},     {"down_fallback_rounding", "none"}};
}

TEST(Profile, EveryBuiltinOneParsesAndBearsItsFilesName) {
  const std::vector<std::string> names = profile_names();
  ASSERT_GE(names.size(), 2u);
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  for (const std::string& name : names) EXPECT_EQ(builtin_profile(name).name, name);
}

TEST(Profile, LitemedsamIsThePublishedScript) {
  const Profile profile = builtin_profile("litemedsam");
  ASSERT_TRUE(profile.image.has_value());
  EXPECT_EQ(profile.image->fit, Fit::longest_side);
  EXPECT_EQ(profile.image->interpolation, Interpolation::area);
  EXPECT_EQ(profile.image->normalize, NormalizeKind::min_max);
  EXPECT_EQ(profile.prompt.box_rounding, BoxRounding::truncate);
}

TEST(Profile, ClinicalLeavesTheImageToTheModelAndKeepsTheBox) {
  const Profile profile = builtin_profile("clinical");
  EXPECT_FALSE(profile.image.has_value());
  EXPECT_EQ(profile.prompt.box_rounding, BoxRounding::none);
}

TEST(Profile, AnUnknownNameListsTheKnownOnes) {
  try {
    builtin_profile("nope");
    FAIL();
  } catch (const InvalidArgument& e) {
    EXPECT_NE(std::string(e.what()).find("clinical"), std::string::npos) << e.what();
  }
}

TEST(Profile, RefusesUnknownMissingAndMistypedFields) {
  const Json good = {{"name", "x"}, {"prompt", {{"box_rounding", "none"}}}, {"mask", {{"upsample", "logits"}}}, {"volume", volume()}};
  EXPECT_NO_THROW(parse_profile(good, "test"));
  Json unknown = good;
  unknown["prompt"]["shift"] = 3;
  EXPECT_THROW(parse_profile(unknown, "test"), ModelError);
  Json missing = good;
  missing.erase("mask");
  EXPECT_THROW(parse_profile(missing, "test"), ModelError);
  Json value = good;
  value["prompt"]["box_rounding"] = "up";
  EXPECT_THROW(parse_profile(value, "test"), ModelError);
  Json type = good;
  type["prompt"] = "none";
  EXPECT_THROW(parse_profile(type, "test"), ModelError);
}

TEST(Profile, MeanStdNeedsThreeOfEachAndNoZeroDivisor) {
  Json json = {{"name", "x"},
               {"image",
                {{"fit", "stretch"},
                 {"interpolation", "linear"},
                 {"normalize", {{"kind", "mean_std"}, {"mean", {1, 2, 3}}, {"std", {1, 2, 3}}}}}},
               {"prompt", {{"box_rounding", "none"}}},
               {"mask", {{"upsample", "logits"}}}, {"volume", volume()}};
  EXPECT_EQ(parse_profile(json, "test").image->mean[2], 3);
  json["image"]["normalize"]["std"] = {1, 0, 3};
  EXPECT_THROW(parse_profile(json, "test"), ModelError);
  json["image"]["normalize"]["std"] = {1, 2};
  EXPECT_THROW(parse_profile(json, "test"), ModelError);
}

}  // namespace
}  // namespace medsam
