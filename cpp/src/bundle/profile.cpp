// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "bundle/profile.hpp"

#include <algorithm>
#include <cmath>

#include "base/number_text.hpp"
#include "base/text.hpp"
#include "builtin_profiles.hpp"
#include "bundle/manifest_parser.hpp"
#include "medsam/error.hpp"
#include "medsam/library.hpp"

namespace medsam {

namespace {

template <class E>
using Names = std::initializer_list<std::pair<const char*, E>>;

constexpr Names<Fit> kFits = {{"longest_side", Fit::longest_side}, {"stretch", Fit::stretch}};
constexpr Names<Interpolation> kInterpolations = {{"area", Interpolation::area},
                                                  {"linear", Interpolation::linear},
                                                  {"cubic", Interpolation::cubic},
                                                  {"spline", Interpolation::spline},
                                                  {"antialiased", Interpolation::antialiased}};
constexpr Names<NormalizeKind> kNormalizeKinds = {{"min_max", NormalizeKind::min_max},
                                                  {"min_max_padded", NormalizeKind::min_max_padded},
                                                  {"mean_std", NormalizeKind::mean_std}};

template <class E>
const char* name_of(const Names<E>& names, E value) {
  return std::find_if(names.begin(), names.end(), [&](const auto& name) { return name.second == value; })->first;
}

ImageRules parse_image(ObjectReader reader) {
  ImageRules rules;
  rules.fit = reader.choice("fit", kFits);
  rules.interpolation = reader.choice("interpolation", kInterpolations);
  ObjectReader normalize = reader.object("normalize");
  rules.normalize = normalize.choice("kind", kNormalizeKinds);
  if (rules.normalize == NormalizeKind::mean_std) {
    rules.mean = normalize.numbers("mean");
    rules.std = normalize.numbers("std");
    if (rules.mean.size() != 3) normalize.fail("mean", std::to_string(rules.mean.size()) + " numbers", "3");
    // The kernels compute with them in f32, where a number too small is 0 and one too large infinite.
    const auto sane = [](double v) { return v >= 1e-30 && v <= 1e30; };
    const auto zero_or_sane = [&](double v) { return v == 0 || sane(std::abs(v)); };
    if (!std::all_of(rules.mean.begin(), rules.mean.end(), zero_or_sane)) {
      normalize.fail("mean", "a number beyond f32", "numbers of at most 1e30");
    }
    const bool usable = rules.std.size() == 3 && std::all_of(rules.std.begin(), rules.std.end(), sane);
    if (!usable) normalize.fail("std", "a list", "3 numbers from 1e-30 to 1e30");
  } else {
    rules.min_range = normalize.number("min_range");
    if (!(rules.min_range > 0)) normalize.fail("min_range", number_text(rules.min_range), "a number above 0");
  }
  normalize.finish();
  reader.finish();
  return rules;
}

BoxRounding parse_rounding(ObjectReader& reader, const char* field) {
  return reader.choice<BoxRounding>(field, {{"none", BoxRounding::none},
                                            {"truncate", BoxRounding::truncate},
                                            {"containing_pixel", BoxRounding::containing_pixel}});
}

PromptRules parse_prompt(ObjectReader reader) {
  PromptRules rules;
  rules.box_rounding = parse_rounding(reader, "box_rounding");
  reader.finish();
  return rules;
}

double bounded_number(ObjectReader& reader, const char* field, double least, double most) {
  const double value = reader.number(field);
  if (!(value >= least && value <= most)) {
    reader.fail(field, number_text(value), "a number from " + number_text(least) + " to " + number_text(most));
  }
  return value;
}

// The bounds keep a weight, the power of a rating, and the planes that smoothing needs at once within reason.
SectionRules parse_sections(ObjectReader& reader) {
  SectionRules rules;
  rules.exponents = reader.numbers("exponents");
  const bool usable = !rules.exponents.empty() && std::all_of(rules.exponents.begin(), rules.exponents.end(),
                                                              [](double p) { return p >= 0.5 && p <= 64; });
  if (!usable) reader.fail("exponents", "a list", "1 to " + std::to_string(kShortList) + " numbers from 0.5 to 64");
  rules.rating_power = bounded_number(reader, "rating_power", 0, 16);
  rules.smooth_slices = bounded_number(reader, "smooth_slices", 0, 4);
  return rules;
}

VolumeRules parse_volume(ObjectReader reader) {
  VolumeRules rules;
  rules.z_range = reader.choice<ZRange>(
      "z_range", {{"closed", ZRange::closed}, {"half_open", ZRange::half_open}, {"open", ZRange::open}});
  // Bundles of earlier versions know propagation alone, and do not name it.
  if (reader.has("follow")) {
    rules.follow = reader.choice<Follow>("follow", {{"propagate", Follow::propagate}, {"sections", Follow::sections}});
  }
  if (rules.follow == Follow::sections) {
    rules.sections = parse_sections(reader);
    reader.finish();
    return rules;
  }
  rules.next_box = reader.choice<NextBox>("next_box", {{"label_map", NextBox::label_map},
                                                       {"mask", NextBox::mask},
                                                       {"nearest", NextBox::nearest},
                                                       {"user", NextBox::user}});
  if (rules.next_box == NextBox::label_map) {
    rules.label_type = reader.choice<LabelType>("label_type", {{"u8", LabelType::u8}, {"u16", LabelType::u16}});
  }
  rules.box_shift = bounded_number(reader, "box_shift", 0, 4096);
  rules.within_user_box = reader.boolean("within_user_box");
  rules.down_fallback_rounding = parse_rounding(reader, "down_fallback_rounding");
  rules.choice =
      reader.choice<MaskChoice>("choice", {{"propagated", MaskChoice::propagated}, {"best_iou", MaskChoice::best_iou}});
  reader.finish();
  return rules;
}

MaskRules parse_mask(ObjectReader reader) {
  MaskRules rules;
  rules.upsample =
      reader.choice<MaskUpsample>("upsample", {{"logits", MaskUpsample::logits},
                                               {"logits_at_input_size", MaskUpsample::logits_at_input_size},
                                               {"logits_at_prompt_frame", MaskUpsample::logits_at_prompt_frame},
                                               {"probabilities", MaskUpsample::probabilities}});
  rules.labels =
      reader.choice<LabelRule>("labels", {{"count", LabelRule::count}, {"modulo_256", LabelRule::modulo_256}});
  rules.overlap = reader.choice<Overlap>("overlap", {{"later", Overlap::later}, {"smaller_box", Overlap::smaller_box}});
  reader.finish();
  return rules;
}

ZoomRules parse_zoom(ObjectReader reader, const MaskRules& mask) {
  constexpr double kMostSide = 1000;
  ZoomRules rules;
  constexpr double kLeastSide = 2.5;  // rounded to whole pixels, such a window still holds its box
  rules.side = bounded_number(reader, "side", kLeastSide, kMostSide);
  rules.least_side = bounded_number(reader, "least_side", 1, rules.side);
  rules.most_side = bounded_number(reader, "most_side", rules.side, kMostSide);
  // A window made for a box must be able to serve it.
  rules.margin = bounded_number(reader, "margin", 0, (rules.least_side - 1) / 2);
  rules.most_of_image = bounded_number(reader, "most_of_image", 0, 1);
  rules.least_windows = reader.integer("least_windows", 1, 1024);
  rules.boxes_per_window = reader.integer("boxes_per_window", 1, 65536);
  rules.logit_limit = bounded_number(reader, "logit_limit", 0.5, 1000);
  reader.finish();
  // The mean is one of upsampled logits, and masks are painted by their labels' ranks.
  if (mask.upsample != MaskUpsample::logits || mask.labels != LabelRule::count) {
    throw ModelError(
        reader.where() +
        ": got a zoom beside other mask rules, expected \"upsample\": \"logits\" and \"labels\": \"count\"");
  }
  return rules;
}

}  // namespace

Profile parse_profile(const Json& json, const std::string& where) {
  ObjectReader reader(json, where);
  Profile profile;
  profile.name = reader.string("name");
  if (reader.has("image")) profile.image = parse_image(reader.object("image"));
  profile.prompt = parse_prompt(reader.object("prompt"));
  profile.mask = parse_mask(reader.object("mask"));
  profile.volume = parse_volume(reader.object("volume"));
  if (reader.has("zoom")) profile.zoom = parse_zoom(reader.object("zoom"), profile.mask);
  reader.finish();
  return profile;
}

Profile builtin_profile(const std::string& name) {
  for (const auto& [known, text] : kBuiltinProfiles) {
    if (name == known) return parse_profile(parse_json(text, "profile " + name), "profile " + name);
  }
  throw InvalidArgument("profile: got \"" + name + "\", expected one of " + joined(profile_names()) +
                        ", or \"\" for the bundle's own");
}

std::vector<std::string> profile_names() {
  std::vector<std::string> names;
  for (const auto& entry : kBuiltinProfiles) names.emplace_back(entry.first);
  std::sort(names.begin(), names.end());
  return names;
}

Json named(const ImageRules& rules) {
  return {{"fit", name_of(kFits, rules.fit)},
          {"interpolation", name_of(kInterpolations, rules.interpolation)},
          {"normalize", name_of(kNormalizeKinds, rules.normalize)},
          {"min_range", rules.min_range},
          {"mean", rules.mean},
          {"std", rules.std}};
}

}  // namespace medsam
