// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "support/efficient_vit_file.hpp"

namespace medsam::testing {

TinyVitFile efficient_vit_file(const EfficientVitSizes& s) {
  TinyVitFile file;
  file.about = {{"format", "medsam-engine fused 1"}, {"architecture", "efficient_vit"}, {"input_size", {s.input}}};
  const auto layer = [&](const std::string& name, std::int64_t in, std::int64_t out, bool bias = true) {
    file.tensors[name + ".weight"] = {in, out};
    if (bias) file.tensors[name + ".bias"] = {out};
  };
  const auto fused = [&](const std::string& name, std::int64_t in, std::int64_t out) {
    layer(name + ".spatial", 9 * in, s.hidden);
    layer(name + ".project", s.hidden, out);
  };
  const auto inverted = [&](const std::string& name, std::int64_t in, std::int64_t out) {
    layer(name + ".expand", in, s.hidden);
    layer(name + ".depthwise", 9, s.hidden);
    layer(name + ".project", s.hidden, out);
  };
  layer("stem", 27, s.stem);
  layer("stages.0.blocks.0.first", 9 * s.stem, s.stem);
  layer("stages.0.blocks.0.second", 9 * s.stem, s.stem);
  fused("stages.1.merge", s.stem, s.fused);
  fused("stages.1.blocks.0", s.fused, s.fused);
  inverted("stages.2.merge", s.fused, s.inverted);
  inverted("stages.2.blocks.0", s.inverted, s.inverted);
  inverted("stages.3.merge", s.inverted, s.attention);
  const std::string block = "stages.3.blocks.0";
  layer(block + ".qkv", s.attention, 3 * s.attention, false);
  layer(block + ".scale", s.taps, 3 * s.attention, false);
  layer(block + ".groups", 3 * s.attention, 32, false);
  layer(block + ".proj", 2 * s.attention, s.attention);
  inverted(block, s.attention, s.attention);
  layer("neck.inputs.0", s.attention, s.neck);
  layer("neck.inputs.1", s.inverted, s.neck);
  layer("neck.inputs.2", s.fused, s.neck);
  fused("neck.blocks.0", s.neck, s.neck);
  layer("neck.output", s.neck, s.output);
  file.tensors["neck.norm.weight"] = file.tensors["neck.norm.bias"] = {s.output};
  return file;
}

}  // namespace medsam::testing
