// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The tensors the engine knows how to fill and read (docs/bundle.md).
#include <algorithm>
#include <set>

#include "base/text.hpp"
#include "bundle/bundle.hpp"
#include "medsam/error.hpp"

namespace medsam {

namespace {

using Shape = std::vector<std::int64_t>;

constexpr std::int64_t kMaxCrop = 1024;
constexpr std::int64_t kMaxElements = std::int64_t{1} << 28;  // of a tensor, dynamic dimensions counted as 1: 1 GiB
constexpr std::int64_t kMaxMaskSide = 4096;

// A dimension of a pattern: -1 must be dynamic or 1 (a batch), 0 may be any fixed size, another number itself.
bool fits(const Shape& shape, const Shape& pattern) {
  return shape.size() == pattern.size() &&
         std::equal(shape.begin(), shape.end(), pattern.begin(), [](std::int64_t got, std::int64_t want) {
           return want < 0 ? got == -1 || got == 1 : want == 0 ? got > 0 : got == want;
         });
}

std::string place(const ModelFile& model, const char* side, const TensorSpec& tensor) {
  return "manifest.json: models: " + model.role + ": " + side + " \"" + tensor.name.substr(0, 60) + "\"";
}

std::string pattern_text(const Shape& pattern) {
  return "(" + joined(pattern, [](std::int64_t d) { return d == 0 ? std::string("fixed") : std::to_string(d); }) + ")";
}

void expect(const ModelFile& model, const char* side, const TensorSpec& tensor, DType dtype, const Shape& pattern) {
  if (tensor.dtype == dtype && fits(tensor.shape, pattern)) return;
  throw ModelError(place(model, side, tensor) + ": expected " + (dtype == DType::f32 ? "f32 " : "i32 ") +
                   pattern_text(pattern) + "; export the bundle again with this version's tools");
}

void expect_names(const ModelFile& model, const char* side, const std::vector<TensorSpec>& tensors,
                  const std::vector<const char*>& names) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i >= tensors.size() || tensors[i].name != names[i]) {
      throw ModelError("manifest.json: models: " + model.role + ": " + side + " " + std::to_string(i) +
                       ": expected \"" + names[i] + "\"; export the bundle again with this version's tools");
    }
  }
  std::set<std::string> seen;
  for (const TensorSpec& tensor : tensors) {
    if (!seen.insert(tensor.name).second) {
      throw ModelError(place(model, side, tensor) + " occurs twice; export the bundle again");
    }
  }
}

[[noreturn]] void not_understood(const ModelFile& model, const char* side, const TensorSpec& tensor) {
  throw ModelError(place(model, side, tensor) + " is not understood by this version; use a newer medsam-engine");
}

void check_encoder(const ModelFile& encoder, std::int64_t size) {
  expect_names(encoder, "inputs", encoder.inputs, {"image"});
  if (encoder.inputs.size() > 1) not_understood(encoder, "inputs", encoder.inputs[1]);
  if (!fits(encoder.inputs[0].shape, {-1, 3, size, size}) || encoder.inputs[0].dtype != DType::f32) {
    throw ModelError("manifest.json: the encoder's input is not f32 (-1, 3, S, S) with S = image.input_size " +
                     std::to_string(size) + "; export the bundle again");
  }
  expect_names(encoder, "outputs", encoder.outputs, {"image_embedding"});
  expect(encoder, "outputs", encoder.outputs[0], DType::f32, {-1, 0, 0, 0});
  for (const TensorSpec& output : encoder.outputs) {
    Shape pattern(output.shape.size(), 0);
    if (!pattern.empty()) pattern[0] = -1;
    if (output.name == "image_foreground") pattern = {-1, 1, size, size};
    expect(encoder, "outputs", output, DType::f32, pattern);
  }
}

void check_crop_encoder(const ModelFile& model) {
  expect_names(model, "inputs", model.inputs, {"crop"});
  if (model.inputs.size() > 1) not_understood(model, "inputs", model.inputs[1]);
  expect_names(model, "outputs", model.outputs, {"crop_features"});
  if (model.outputs.size() > 1) not_understood(model, "outputs", model.outputs[1]);
  Shape pattern(model.outputs[0].shape.size(), 0);
  if (!pattern.empty()) pattern[0] = -1;
  expect(model, "outputs", model.outputs[0], DType::f32, pattern);
}

void check_crop(const ModelFile& model) {
  const std::ptrdiff_t i = model.input_index("crop");
  if (i < 0) return;
  const TensorSpec& crop = model.inputs[static_cast<std::size_t>(i)];
  expect(model, "inputs", crop, DType::f32, {-1, 3, 0, 0});
  if (crop.shape[2] != crop.shape[3] || crop.shape[2] > kMaxCrop) {
    throw ModelError(place(model, "inputs", crop) + ": expected a square of at most " + std::to_string(kMaxCrop) +
                     " pixels; export the bundle again");
  }
}

void check_decoder_input(const Bundle& bundle, const ModelSet& set, const ModelFile& model, const TensorSpec& input) {
  const ModelFile& encoder = set.at("encoder");
  const std::ptrdiff_t made = encoder.output_index(input.name);
  if (made >= 0) {
    Shape one = encoder.outputs[static_cast<std::size_t>(made)].shape;
    one[0] = 1;
    if (input.dtype == DType::f32 && input.shape == one) return;
    throw ModelError(place(model, "inputs", input) + ": the " + model.role +
                     " takes another embedding than the encoder makes; export the bundle again");
  }
  if (input.name == "point_coords") return expect(model, "inputs", input, DType::f32, {-1, -1, 2});
  if (input.name == "point_labels") return expect(model, "inputs", input, DType::i32, {-1, -1});
  if (input.name == "mask_index") return expect(model, "inputs", input, DType::i32, {-1});
  if (input.name == "crop") return check_crop(model);
  if (input.name == "mask_input" && model.role == "decoder_mask") {
    const Shape& logits = model.outputs.at(0).shape;
    return expect(model, "inputs", input, DType::f32, {-1, 1, logits.at(2), logits.at(3)});
  }
  if (input.name == "modality" && !bundle.modality.index.empty()) {
    return expect(model, "inputs", input, DType::i32, {1});
  }
  if (input.name == "crop_features" && set.count("crop_encoder") != 0) {
    Shape pattern = set.at("crop_encoder").outputs.at(0).shape;
    pattern[0] = -1;
    return expect(model, "inputs", input, DType::f32, pattern);
  }
  not_understood(model, "inputs", input);
}

void check_decoder(const Bundle& bundle, const ModelSet& set, const ModelFile& model) {
  expect_names(model, "outputs", model.outputs, {"low_res_logits", "iou_predictions"});
  if (model.outputs.size() > 2) not_understood(model, "outputs", model.outputs[2]);
  const Shape& logits = model.outputs[0].shape;
  const auto side = [](std::int64_t d) { return d >= 1 && d <= kMaxMaskSide; };
  if (logits.size() != 4 || !side(logits[2]) || !side(logits[3])) {
    throw ModelError("manifest.json: models: " + model.role + ": the logits' sides must be fixed, 1 to " +
                     std::to_string(kMaxMaskSide) + "; export it again");
  }
  expect(model, "outputs", model.outputs[0], DType::f32, {-1, -1, 0, 0});
  expect(model, "outputs", model.outputs[1], DType::f32, {-1, -1});
  expect_names(model, "inputs", model.inputs, {});
  for (const TensorSpec& input : model.inputs) check_decoder_input(bundle, set, model, input);
  std::vector<const char*> required = {"point_coords", "point_labels", "mask_index"};
  if (model.role == "decoder_mask") required.push_back("mask_input");
  for (const char* name : required) {
    if (model.input_index(name) >= 0) continue;
    throw ModelError("manifest.json: models: " + model.role + ": input \"" + name +
                     "\" is missing; export the bundle again with this version's tools");
  }
}

void check_prompting(const Bundle& bundle, const ModelSet& set) {
  const bool masked = set.count("decoder_mask") != 0;
  if (masked != (bundle.prompt.mask_input != MaskInput::none)) {
    throw ModelError("manifest.json: prompt: mask_input and the model \"decoder_mask\" must both be there or neither");
  }
  if (bundle.prompt.from_box == FromBox::corners) return;
  const std::ptrdiff_t foreground = set.at("encoder").output_index("image_foreground");
  const bool drawable = masked && bundle.prompt.mask_input == MaskInput::scribble && bundle.prompt.points &&
                        foreground >= 0 && bundle.prompt.frame == bundle.input_size &&
                        set.at("decoder_mask").low_res_size().height == bundle.input_size;
  if (!drawable) {
    throw ModelError(
        "manifest.json: prompt: from_box \"points_and_scribble\" needs points, a decoder_mask that takes a scribble of "
        "the input's size and frame, and the encoder's output \"image_foreground\"; export the bundle again");
  }
}

// The engine makes room by these figures, so a few bytes of JSON must not ask for all memory.
void check_sizes(const ModelFile& model) {
  for (const auto* tensors : {&model.inputs, &model.outputs}) {
    for (const TensorSpec& tensor : *tensors) {
      std::int64_t count = 1;
      for (const std::int64_t d : tensor.shape)
        count = std::min(kMaxElements + 1, count * std::max<std::int64_t>(1, d));
      if (count <= kMaxElements) continue;
      throw ModelError(place(model, tensors == &model.inputs ? "inputs" : "outputs", tensor) +
                       ": got more than 2^28 elements, expected at most those of a 1 GiB tensor; export it again");
    }
  }
}

void check_set(const Bundle& bundle, const std::string& expert, const ModelSet& set) {
  static_cast<void>(bundle.model("encoder", expert));
  static_cast<void>(bundle.model("decoder", expert));
  for (const auto& [role, model] : set) check_sizes(model);
  check_encoder(set.at("encoder"), bundle.input_size);
  for (const auto& [role, model] : set) {
    if (role == "encoder") continue;
    if (role == "crop_encoder") {
      check_crop_encoder(model);
    } else if (role != "decoder" && role != "decoder_mask") {
      throw ModelError("manifest.json: models: \"" + role.substr(0, 60) +
                       "\" is not understood by this version; use a newer medsam-engine");
    }
  }
  for (const char* role : {"decoder", "decoder_mask"}) {
    if (set.count(role) != 0) check_decoder(bundle, set, set.at(role));
  }
  if (set.count("crop_encoder") != 0) check_crop(set.at("crop_encoder"));
  check_prompting(bundle, set);
}

}  // namespace

void check_models(const Bundle& bundle) {
  if (bundle.models.empty()) throw ModelError("manifest.json: models: got none; export the bundle again");
  for (const auto& [name, set] : bundle.models) {
    check_set(bundle, name, set);
    const auto shape = [](const ModelSet& s, const char* role) { return s.at(role).outputs.at(0).shape; };
    for (const char* role : {"encoder", "decoder"}) {
      if (shape(set, role) == shape(bundle.first(), role)) continue;
      throw ModelError("manifest.json: experts: " + name + ": its " + role +
                       " answers in another size than the others'; export the bundle again");
    }
  }
  std::set<std::string> named;
  for (const auto& [modality, expert] : bundle.modality.experts) named.insert(expert);
  if (bundle.modality.fallback) named.insert(*bundle.modality.fallback);
  const bool routed = bundle.models.count("") == 0;
  if (routed != !named.empty()) {
    throw ModelError("manifest.json: experts and modality's experts must both be there or neither");
  }
  for (const std::string& expert : named) {
    if (bundle.models.count(expert) == 0) {
      throw ModelError("manifest.json: modality: no expert \"" + expert.substr(0, 60) + "\"; export the bundle again");
    }
  }
}

}  // namespace medsam
