// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "base/sha256.hpp"
#include "bundle/manifest_parser.hpp"
#include "medsam/error.hpp"

namespace medsam {

namespace {

// An alternative form of the encoder: `section` is its key in the manifest, and `encoder` the entry there.
ModelFile parse_second_encoder(ObjectReader encoder, const char* section, const Bundle& bundle) {
  ModelFile model = parse_model(std::move(encoder), bundle.folder);
  model.role = "encoder";
  const std::string where = std::string("manifest.json: ") + section;
  // With experts there would have to be one per expert, which no tool makes yet.
  const auto set = bundle.models.find("");
  if (set == bundle.models.end()) {
    throw ModelError(where + " and experts: this version understands one of them at a time");
  }
  const auto exact = set->second.find("encoder");
  if (exact == set->second.end() || model.inputs != exact->second.inputs || model.outputs != exact->second.outputs) {
    throw ModelError(where + ": encoder: its inputs and outputs are not the encoder's; make it again");
  }
  return model;
}

// Adds a variant for each stage that the arithmetic exists for. What users can choose is what these readers add
// (CONTRIBUTING.md, "Recipe: a precision").
void add(Bundle& bundle, const char* arithmetic, Variant variant) {
  for (const Stage stage : {Stage::encoder, Stage::decoder}) {
    variant.stage = stage;
    variant.arithmetic = find_arithmetic(stage, arithmetic);
    if (variant.arithmetic != nullptr) bundle.variants.push_back(variant);
  }
}

std::shared_ptr<const Models> only(ModelFile model) {
  return std::make_shared<const Models>(Models{{"encoder", std::move(model)}});
}

}  // namespace

void add_exact_graphs(Bundle& bundle) {
  for (const char* format : {"f32", "bf16", "bf16_mixed", "f16"}) {
    add(bundle, format, {.format = format, .identity = ""});
  }
}

void add_f16_graphs(ObjectReader& manifest, const Models& models, Bundle& bundle) {
  if (!manifest.has("f16")) return;
  ObjectReader f16 = manifest.object("f16");
  auto files = std::make_shared<Models>();
  std::string hashes;
  for (const auto& [name, model] : models) {
    ModelFile& parsed = (*files)[name] = parse_model(f16.object(name.c_str()), bundle.folder);
    parsed.precision = "f16";
    if (parsed.inputs != model.inputs || parsed.outputs != model.outputs) {
      throw ModelError("manifest.json: f16: " + name.substr(0, 60) +
                       ": its inputs and outputs are not the model's; run `medsam-engine half` again");
    }
    hashes += name + ":" + parsed.content_hash() + "\n";
  }
  f16.finish();
  add(bundle, "f16", {.format = "f16", .typed = true, .identity = sha256_hex(hashes), .files = files});
}

void add_int8_encoder(ObjectReader& manifest, Bundle& bundle) {
  if (!manifest.has("quantized")) return;
  ObjectReader quantized = manifest.object("quantized");
  ObjectReader encoder = quantized.object("encoder");
  quantized.finish();
  const std::string rest = encoder.string("rest");
  if (rest != "f32" && rest != "bf16") encoder.fail("rest", "\"" + rest.substr(0, 20) + "\"", "f32 | bf16");
  ModelFile model = parse_second_encoder(std::move(encoder), "quantized", bundle);
  const std::string hash = model.content_hash();
  add(bundle, "int8", {.format = rest, .needs_trial = true, .identity = hash, .files = only(std::move(model))});
}

void add_native_encoder(ObjectReader& manifest, Bundle& bundle) {
  if (!manifest.has("fused")) return;
  ObjectReader fused = manifest.object("fused");
  ModelFile model = parse_second_encoder(fused.object("encoder"), "fused", bundle);
  fused.finish();
  model.onnx = false;
  const std::string hash = model.content_hash();
  const std::shared_ptr<const Models> files = only(std::move(model));
  for (const char* format : {kF32Fused, kBf16Fused}) {
    add(bundle, format, {.runner = Runner::native, .format = format, .identity = hash, .files = files});
  }
}

}  // namespace medsam
