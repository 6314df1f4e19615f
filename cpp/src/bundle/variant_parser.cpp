// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "base/sha256.hpp"
#include "bundle/manifest_parser.hpp"
#include "medsam/error.hpp"
#include "platform/path.hpp"

namespace medsam {

namespace {

// A second form of a model of the bundle: `section` is its key in the manifest, `role` its entry there.
ModelFile parse_second_form(ObjectReader entry, const char* section, const std::string& role, const Bundle& bundle) {
  const std::string where = std::string("manifest.json: ") + section;
  // With experts there would have to be one per expert, which no tool makes yet.
  const auto set = bundle.models.find("");
  if (set == bundle.models.end()) {
    throw ModelError(where + " and experts: this version understands one of them at a time");
  }
  ModelFile model = parse_model(std::move(entry), bundle.folder);
  model.name = model.role = role;
  const auto exact = set->second.find(role);
  if (exact == set->second.end() || model.inputs != exact->second.inputs || model.outputs != exact->second.outputs) {
    throw ModelError(where + ": " + role + ": its inputs and outputs are not the model's; make it again");
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

void expect_graphs(const Bundle& bundle, const char* section) {
  if (bundle.graphs) return;
  throw ModelError(
      "manifest.json: " + std::string(section) +
      ": got graphs, but the models have none that these would be another form of; export the bundle again");
}

// A stage's native models are all there, and one file: what is computed is of one training, and a certificate names it
// by one hash.
void check_one_file(Stage stage, const Models& native, const Bundle& bundle) {
  for (const auto& [role, exact] : bundle.models.at("")) {
    if (exact.stage() != stage) continue;
    const auto found = native.find(role);
    if (found == native.end()) {
      throw ModelError("manifest.json: fused: no entry for \"" + role.substr(0, 60) +
                       "\", whose stage has another; export the bundle again");
    }
    const ModelFile& first = native.begin()->second;
    if (found->second.path != first.path || found->second.sha256 != first.sha256 || !found->second.data.empty()) {
      throw ModelError("manifest.json: fused: " + role + ": expected the one file of its stage, \"" +
                       platform::file_name(first.path) + "\"; export the bundle again");
    }
  }
}

}  // namespace

void add_exact_graphs(Bundle& bundle) {
  if (!bundle.graphs) return;
  for (const char* format : {"f32", "bf16", "bf16_mixed", "f16"}) {
    add(bundle, format, {.format = format, .identity = ""});
  }
}

void add_f16_graphs(ObjectReader& manifest, const Models& models, Bundle& bundle) {
  if (!manifest.has("f16")) return;
  expect_graphs(bundle, "f16");
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
  expect_graphs(bundle, "quantized");
  ObjectReader quantized = manifest.object("quantized");
  ObjectReader encoder = quantized.object("encoder");
  quantized.finish();
  const std::string rest = encoder.string("rest");
  if (rest != "f32" && rest != "bf16") encoder.fail("rest", "\"" + rest.substr(0, 20) + "\"", "f32 | bf16");
  ModelFile model = parse_second_form(std::move(encoder), "quantized", "encoder", bundle);
  const std::string hash = model.content_hash();
  const auto files = std::make_shared<const Models>(Models{{"encoder", std::move(model)}});
  add(bundle, "int8", {.format = rest, .needs_trial = true, .identity = hash, .files = files});
}

void add_native_models(ObjectReader& manifest, Bundle& bundle) {
  if (!manifest.has("fused")) return;
  ObjectReader fused = manifest.object("fused");
  std::map<Stage, Models> stages;
  for (const char* role : {"encoder", "decoder", "decoder_mask"}) {
    if (!fused.has(role)) continue;
    ModelFile model = parse_second_form(fused.object(role), "fused", role, bundle);
    model.onnx = false;
    model.prompt_frame = bundle.prompt.frame;
    model.point_shift = bundle.prompt.point_shift;
    stages[model.stage()][role] = std::move(model);
  }
  fused.finish();
  if (stages.empty()) throw ModelError("manifest.json: fused: got no model; export the bundle again");
  for (const auto& [stage, models] : stages) {
    check_one_file(stage, models, bundle);
    const std::string hash = models.begin()->second.content_hash();
    const auto files = std::make_shared<const Models>(models);
    for (const char* format : {kF32Fused, kBf16Fused}) {
      bundle.variants.push_back(
          {stage, find_arithmetic(stage, format), Runner::native, format, false, false, hash, files});
    }
  }
}

}  // namespace medsam
