// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "bundle/manifest_parser.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "medsam/engine.hpp"
#include "medsam/error.hpp"

namespace medsam {
namespace {

Json volume() {
  return {{"z_range", "closed"},     {"next_box", "mask"},     {"box_shift", 3},
          {"within_user_box", true}, {"choice", "propagated"}, {"down_fallback_rounding", "none"}};
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

// The rows of the published systems that touch geometry, propagation or labels, one profile per line.
TEST(Profile, TheBuiltinOnesAreThePublishedRules) {
  struct Expected {
    const char* name;
    BoxRounding rounding;
    MaskUpsample upsample;
    LabelRule labels;
    ZRange z_range;
    NextBox next_box;
    double shift;
    BoxRounding fallback;
  };
  const auto truncate = BoxRounding::truncate, none = BoxRounding::none;
  const Expected table[] = {
      {"litemedsam", truncate, MaskUpsample::logits, LabelRule::count, ZRange::closed, NextBox::label_map, 3, truncate},
      {"rep_medsam", truncate, MaskUpsample::logits, LabelRule::count, ZRange::closed, NextBox::label_map, 3, truncate},
      {"swin_litemedsam", truncate, MaskUpsample::logits, LabelRule::count, ZRange::open, NextBox::label_map, 3, none},
      {"mcp_medsam", truncate, MaskUpsample::logits, LabelRule::modulo_256, ZRange::open, NextBox::label_map, 3, none},
      {"daft", truncate, MaskUpsample::logits, LabelRule::count, ZRange::half_open, NextBox::label_map, 3, truncate},
      {"medficientsam", none, MaskUpsample::logits_at_input_size, LabelRule::count, ZRange::half_open, NextBox::mask, 0,
       none},
      {"medficientsam_torch", truncate, MaskUpsample::logits_at_input_size, LabelRule::count, ZRange::half_open,
       NextBox::mask, 0, truncate},
      {"medsam", none, MaskUpsample::probabilities, LabelRule::count, ZRange::closed, NextBox::nearest, 5, none},
      {"sam", none, MaskUpsample::logits_at_input_size, LabelRule::count, ZRange::closed, NextBox::mask, 0, none},
      {"mobile_sam", none, MaskUpsample::logits_at_input_size, LabelRule::count, ZRange::closed, NextBox::mask, 0,
       none},
      {"efficientvit_sam", none, MaskUpsample::logits_at_prompt_frame, LabelRule::count, ZRange::closed, NextBox::mask,
       0, none},
  };
  for (const Expected& e : table) {
    const Profile p = builtin_profile(e.name);
    EXPECT_EQ(p.prompt.box_rounding, e.rounding) << e.name;
    EXPECT_EQ(p.mask.upsample, e.upsample) << e.name;
    EXPECT_EQ(p.mask.labels, e.labels) << e.name;
    EXPECT_EQ(p.mask.overlap, Overlap::later) << e.name;
    EXPECT_EQ(p.volume.z_range, e.z_range) << e.name;
    EXPECT_EQ(p.volume.next_box, e.next_box) << e.name;
    EXPECT_EQ(p.volume.box_shift, e.shift) << e.name;
    EXPECT_EQ(p.volume.down_fallback_rounding, e.fallback) << e.name;
    EXPECT_EQ(p.volume.choice, MaskChoice::propagated) << e.name;
    EXPECT_FALSE(p.volume.within_user_box) << e.name;
  }
  EXPECT_EQ(builtin_profile("daft").volume.label_type, LabelType::u16);
  EXPECT_EQ(builtin_profile("litemedsam").volume.label_type, LabelType::u8);
  EXPECT_EQ(builtin_profile("medficientsam").image->interpolation, Interpolation::linear);
  EXPECT_EQ(builtin_profile("medsam").image->interpolation, Interpolation::spline);
  EXPECT_EQ(builtin_profile("medsam").image->fit, Fit::stretch);
  for (const char* name : {"sam", "mobile_sam", "efficientvit_sam"}) {
    EXPECT_EQ(builtin_profile(name).image->interpolation, Interpolation::antialiased) << name;
    EXPECT_EQ(builtin_profile(name).image->normalize, NormalizeKind::mean_std) << name;
  }
}

TEST(Profile, ClinicalLeavesTheImageToTheModelAndKeepsTheBox) {
  const Profile profile = builtin_profile("clinical");
  EXPECT_FALSE(profile.image.has_value());
  EXPECT_EQ(profile.prompt.box_rounding, BoxRounding::containing_pixel);
}

TEST(Profile, ClinicalAloneHasWindows) {
  for (const std::string& name : profile_names()) {
    EXPECT_EQ(builtin_profile(name).zoom.has_value(), name == "clinical") << name;
  }
}

TEST(Profile, RefusesWindowsThatCannotServeTheirBoxes) {
  const Json zoom = {
      {"side", 3},          {"least_side", 2.25},     {"most_side", 12}, {"margin", 0.5}, {"most_of_image", 0.75},
      {"least_windows", 4}, {"boxes_per_window", 24}, {"logit_limit", 8}};
  const auto parse = [](const Json& with, const char* upsample, const char* labels) {
    const Json json = {{"name", "x"},
                       {"prompt", {{"box_rounding", "none"}}},
                       {"mask", {{"upsample", upsample}, {"labels", labels}, {"overlap", "later"}}},
                       {"volume", volume()},
                       {"zoom", with}};
    return parse_profile(json, "test");
  };
  EXPECT_EQ(parse(zoom, "logits", "count").zoom->most_side, 12);
  EXPECT_THROW(parse(zoom, "probabilities", "count"), ModelError);
  EXPECT_THROW(parse(zoom, "logits", "modulo_256"), ModelError);
  const std::pair<const char*, double> bad[] = {{"side", 2},
                                                {"side", 13},
                                                {"least_side", 0.5},
                                                {"least_side", 3.5},
                                                {"most_side", 2.9},
                                                {"most_side", 1001},
                                                {"margin", -1},
                                                {"margin", 0.7},
                                                {"margin", 1e300},
                                                {"most_of_image", 1.5},
                                                {"least_windows", 0},
                                                {"least_windows", 1e6},
                                                {"boxes_per_window", 0},
                                                {"logit_limit", 0}};
  for (const auto& [field, value] : bad) {
    Json changed = zoom;
    if (value == std::floor(value) && std::abs(value) < 1e9) {
      changed[field] = static_cast<std::int64_t>(value);
    } else {
      changed[field] = value;
    }
    EXPECT_THROW(parse(changed, "logits", "count"), ModelError) << field << " " << value;
  }
  Json missing = zoom;
  missing.erase("margin");
  EXPECT_THROW(parse(missing, "logits", "count"), ModelError);
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
  const Json good = {{"name", "x"},
                     {"prompt", {{"box_rounding", "none"}}},
                     {"mask", {{"upsample", "logits"}, {"labels", "count"}, {"overlap", "later"}}},
                     {"volume", volume()}};
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
               {"mask", {{"upsample", "logits"}, {"labels", "count"}, {"overlap", "later"}}},
               {"volume", volume()}};
  EXPECT_EQ(parse_profile(json, "test").image->mean[2], 3);
  json["image"]["normalize"]["std"] = {1, 0, 3};
  EXPECT_THROW(parse_profile(json, "test"), ModelError);
  json["image"]["normalize"]["std"] = {1, 2};
  EXPECT_THROW(parse_profile(json, "test"), ModelError);
}

// Embeddings are kept under a hash of these: an enumerator added in front of another must not change them.
TEST(Profile, ImageRulesAreNamedNotNumbered) {
  EXPECT_EQ(
      named(*builtin_profile("litemedsam").image).dump(),
      R"({"fit":"longest_side","interpolation":"area","mean":[],"min_range":1e-08,"normalize":"min_max","std":[]})");
  ImageRules rules;
  rules.fit = Fit::stretch;
  rules.interpolation = Interpolation::antialiased;
  rules.normalize = NormalizeKind::mean_std;
  rules.mean = {1, 2, 3};
  rules.std = {4, 5, 6};
  EXPECT_EQ(named(rules).dump(), R"({"fit":"stretch","interpolation":"antialiased","mean":[1.0,2.0,3.0],)"
                                 R"("min_range":1e-08,"normalize":"mean_std","std":[4.0,5.0,6.0]})");
}

}  // namespace
}  // namespace medsam
