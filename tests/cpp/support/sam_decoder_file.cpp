// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "support/sam_decoder_file.hpp"

#include <string>
#include <vector>

namespace medsam::testing {

namespace {

constexpr std::int64_t kDim = 256, kInner = 128, kHidden = 2048, kMasks = 4, kMaskChannels = 16;

class Writer {
 public:
  explicit Writer(TinyVitFile& file) : file_(file) {}

  void linear(const std::string& name, std::int64_t in, std::int64_t out) { both(name, {in, out}, out); }
  void norm(const std::string& name, std::int64_t channels) { both(name, {channels}, channels); }
  void both(const std::string& name, const std::vector<std::int64_t>& weight, std::int64_t bias) {
    file_.tensors[name + ".weight"] = weight;
    file_.tensors[name + ".bias"] = {bias};
  }
  void perceptron(const std::string& name, std::int64_t out) {
    linear(name + ".0", kDim, kDim);
    linear(name + ".1", kDim, kDim);
    linear(name + ".2", kDim, out);
  }
  // The tokens ask the image: the key has no bias, which drops out of the softmax.
  void to_image(const std::string& name) {
    linear(name + ".query", kDim, kInner);
    file_.tensors[name + ".key.weight"] = {kInner, kDim};
    linear(name + ".value", kDim, kInner);
    linear(name + ".out", kInner, kDim);
  }
  void layer(const std::string& name) {
    for (const char* part : {".self.query", ".self.key", ".self.value", ".self.out"}) linear(name + part, kDim, kDim);
    to_image(name + ".to_image");
    linear(name + ".mlp.fc1", kDim, kHidden);
    linear(name + ".mlp.fc2", kHidden, kDim);
    both(name + ".to_tokens.query", {kInner, kDim}, kInner);
    linear(name + ".to_tokens.key", kDim, kInner);
    linear(name + ".to_tokens.value", kDim, kInner);
    linear(name + ".to_tokens.out", kInner, kDim);
    for (const char* norm_name : {".norm1", ".norm2", ".norm3", ".norm4"}) norm(name + norm_name, kDim);
  }
  void mask() {
    both("mask.0", {4, kMaskChannels / 4}, kMaskChannels / 4);
    norm("mask.0.norm", kMaskChannels / 4);
    both("mask.1", {kMaskChannels, kMaskChannels}, kMaskChannels);
    norm("mask.1.norm", kMaskChannels);
    linear("mask.2", kMaskChannels, kDim);
  }

 private:
  TinyVitFile& file_;
};

}  // namespace

TinyVitFile sam_decoder_file(std::int64_t grid, bool masks) {
  TinyVitFile file;
  file.about = {{"format", "medsam-engine fused 1"},
                {"architecture", "sam_decoder"},
                {"grid", {grid}},
                {"frame", {4 * grid}},
                {"heads", {8}},
                {"masks", {kMasks}},
                {"mask_channels", nlohmann::json::array()},
                {"point_shift", "0.5"}};
  file.tensors = {{"prompt.gaussian", {2, kDim / 2}},
                  {"prompt.points", {5, kDim}},
                  {"prompt.no_mask", {kDim}},
                  {"tokens", {1 + kMasks, kDim}}};
  Writer writer(file);
  if (masks) {
    file.about["mask_channels"] = {kMaskChannels};
    writer.mask();
  }
  writer.layer("layers.0");
  writer.layer("layers.1");
  writer.to_image("final");
  writer.norm("final.norm", kDim);
  writer.linear("upscale.0", kDim, kDim);
  writer.norm("upscale.0.norm", kDim / 4);
  writer.linear("upscale.1", kDim / 4, kDim / 2);
  for (std::int64_t i = 0; i < kMasks; ++i) writer.perceptron("hyper." + std::to_string(i), kDim / 8);
  writer.perceptron("iou", kMasks);
  return file;
}

}  // namespace medsam::testing
