// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "bundle/trained_prompts.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "bundle/manifest_parser.hpp"
#include "medsam/error.hpp"

namespace medsam {

namespace {

constexpr const char* kField = "trained_prompts";

std::string text_of(PromptKinds kinds) {
  std::string text;
  for (const auto& [kind, name] : kPromptKindNames) {
    if (has(kinds, kind)) text += (text.empty() ? "" : " + ") + std::string(name);
  }
  return text;
}

std::string text_of(const std::vector<PromptKinds>& combinations) {
  return joined(combinations, [](PromptKinds kinds) { return text_of(kinds); });
}

PromptKinds parse_kind(const ObjectReader& manifest, const Json& name) {
  for (const auto& [kind, known] : kPromptKindNames) {
    if (name == known) return kind;
  }
  manifest.fail(kField, shown(name) + " in a combination", "box | points | mask | scribble");
}

PromptKinds parse_combination(const ObjectReader& manifest, const Json& list) {
  if (!list.is_array() || list.empty())
    manifest.fail(kField, shown(list), "combinations such as [\"box\", \"points\"]");
  PromptKinds kinds = PromptKinds::none;
  for (const Json& name : list) {
    const PromptKinds kind = parse_kind(manifest, name);
    if (has(kinds, kind)) manifest.fail(kField, shown(list), "each kind once in a combination");
    kinds = kinds | kind;
  }
  return kinds;
}

}  // namespace

bool TrainedPrompts::contains(PromptKinds kinds) const {
  return std::find(combinations.begin(), combinations.end(), kinds) != combinations.end();
}

TrainedPrompts parse_trained_prompts(ObjectReader& manifest, const PromptEncoding& encoding) {
  const Json& list = manifest.get(kField);
  if (!list.is_array() || list.empty()) manifest.fail(kField, shown(list), "a list of combinations such as [\"box\"]");
  TrainedPrompts trained;
  trained.combinations.clear();
  trained.stated = true;
  for (const Json& item : list) {
    const PromptKinds kinds = parse_combination(manifest, item);
    if (trained.contains(kinds)) manifest.fail(kField, shown(item) + " twice", "each combination once");
    trained.combinations.push_back(kinds);
  }
  // A box from which points and a scribble are drawn reaches the weights as all three.
  const PromptKinds drawn = PromptKinds::box | PromptKinds::points | PromptKinds::scribble;
  if (encoding.from_box == FromBox::points_and_scribble && trained.contains(drawn) &&
      !trained.contains(PromptKinds::box)) {
    trained.combinations.insert(trained.combinations.begin(), PromptKinds::box);
  }
  // What weights have seen, a graph need not take: a bundle may do without decoder_mask.
  const auto taken = [&](PromptKinds kinds) { return accepts(encoding, kinds); };
  const auto end = std::stable_partition(trained.combinations.begin(), trained.combinations.end(), taken);
  trained.combinations.erase(end, trained.combinations.end());
  if (trained.combinations.empty()) manifest.fail(kField, shown(list), "at least one combination that `prompt` takes");
  return trained;
}

void check_trained(PromptKinds kinds, const TrainedPrompts& trained, const std::string& family,
                   const std::string& name) {
  if (trained.contains(kinds)) return;
  const std::string remedy =
      (trained.contains(PromptKinds::box) ? "give a box alone" : "give one of these to predict") +
      std::string(", or set allow_untrained (--allow-untrained) for research");
  const std::string got = name + ": got " + text_of(kinds);
  if (!trained.stated) {
    throw Unsupported(got +
                      ", and the bundle does not say which prompts its weights were trained with, so that it is "
                      "asked with boxes only; export the bundle again, " +
                      remedy);
  }
  throw Unsupported(got + ", which the weights of " + family +
                    " were not trained with (trained: " + text_of(trained.combinations) + "); " + remedy);
}

}  // namespace medsam
