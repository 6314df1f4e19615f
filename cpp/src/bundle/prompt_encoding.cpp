// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "bundle/prompt_encoding.hpp"

#include <algorithm>

#include "bundle/manifest_parser.hpp"
#include "medsam/error.hpp"

namespace medsam {

PromptEncoding parse_prompt(ObjectReader prompt, std::int64_t max_frame) {
  PromptEncoding encoding;
  encoding.frame = static_cast<double>(prompt.integer("frame", 1, max_frame));
  encoding.point_shift = prompt.number("point_shift");
  if (encoding.point_shift != 0 && encoding.point_shift != 0.5)
    prompt.fail("point_shift", "another number", "0 or 0.5");
  const Json& accepts = prompt.get("accepts");
  encoding.points = accepts == Json{"box", "points"};
  if (!encoding.points && accepts != Json{"box"}) {
    prompt.fail("accepts", "something else", R"(["box", "points"] or ["box"])");
  }
  if (prompt.get("mask_input").is_null()) {
    encoding.mask_input = MaskInput::none;
  } else {
    encoding.mask_input =
        prompt.choice<MaskInput>("mask_input", {{"logits", MaskInput::logits}, {"scribble", MaskInput::scribble}});
  }
  encoding.from_box = prompt.choice<FromBox>(
      "from_box", {{"corners", FromBox::corners}, {"points_and_scribble", FromBox::points_and_scribble}});
  prompt.finish();
  return encoding;
}

PromptKinds kinds_of(const Prompt& prompt, const PromptEncoding& encoding) {
  PromptKinds kinds = PromptKinds::none;
  if (prompt.box) kinds = kinds | PromptKinds::box;
  const auto counts = [](const Point& point) { return point.label != -1; };
  if (std::any_of(prompt.points.begin(), prompt.points.end(), counts)) kinds = kinds | PromptKinds::points;
  if (prompt.mask_input != nullptr) {
    kinds = kinds | (encoding.mask_input == MaskInput::scribble ? PromptKinds::scribble : PromptKinds::mask);
  }
  return prompt.scribble ? kinds | PromptKinds::scribble : kinds;
}

bool accepts(const PromptEncoding& encoding, PromptKinds kinds) {
  PromptKinds taken = PromptKinds::box;
  if (encoding.points) taken = taken | PromptKinds::points;
  if (encoding.mask_input == MaskInput::logits) taken = taken | PromptKinds::mask;
  if (encoding.mask_input == MaskInput::scribble) taken = taken | PromptKinds::scribble;
  const bool asks = encoding.points ? kinds != PromptKinds::none : has(kinds, PromptKinds::box);
  return asks && has(taken, kinds);
}

void check_accepted(PromptKinds kinds, const PromptEncoding& encoding, const std::string& name) {
  if (accepts(encoding, kinds)) return;
  const std::string got = name + ": got ";
  if (!encoding.points && (has(kinds, PromptKinds::points) || !has(kinds, PromptKinds::box))) {
    throw Unsupported(got + (has(kinds, PromptKinds::box) ? "points" : "no box") +
                      ", this model takes boxes only; give a box");
  }
  if (kinds == PromptKinds::none) {
    throw InvalidArgument(got + "nothing, expected a box, a point, a scribble or a mask_input");
  }
  const char* what =
      has(kinds, PromptKinds::scribble) && encoding.mask_input != MaskInput::scribble ? "scribble" : "mask_input";
  throw Unsupported(got + "a " + what + ", which this model does not take; leave it out");
}

}  // namespace medsam
