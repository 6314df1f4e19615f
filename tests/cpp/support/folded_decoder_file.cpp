// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "support/folded_decoder_file.hpp"

#include <cmath>
#include <cstring>

namespace medsam::testing {

namespace {

class Folder {
 public:
  explicit Folder(const SamCheckpoint& checkpoint) : from_(checkpoint) {}

  FoldedDecoderFile fold() {
    const SamSizes& sizes = from_.sizes;
    file_.about = {{"format", "medsam-engine fused 1"},
                   {"architecture", "sam_decoder"},
                   {"grid", {sizes.grid}},
                   {"frame", {sizes.frame}},
                   {"heads", {8}},
                   {"masks", {4}},
                   {"mask_channels", nlohmann::json::array()},
                   {"point_shift", sizes.shift}};
    if (sizes.epsilon == 1e-6) file_.about["layer_norm_epsilon"] = "1e-6";
    prompts();
    stack("tokens", {"iou_token", "mask_tokens"}, 5);
    for (const char* i : {"0", "1"}) layer(std::string("transformer.layers.") + i, std::string("layers.") + i);
    to_image("transformer.final_attn_token_to_image", "final");
    norm("transformer.norm_final_attn", "final.norm");
    upscale("output_upscaling.0", "upscale.0", true);
    norm("output_upscaling.1", "upscale.0.norm");
    upscale("output_upscaling.3", "upscale.1", false);
    for (int i = 0; i < 4; ++i) {
      perceptron("output_hypernetworks_mlps." + std::to_string(i), "hyper." + std::to_string(i));
    }
    perceptron("iou_prediction_head", "iou");
    return std::move(file_);
  }

 private:
  void copy(const std::string& from, const std::string& to) { file_.tensors[to] = from_.at(from); }
  void norm(const std::string& from, const std::string& to) {
    copy(from + ".weight", to + ".weight");
    copy(from + ".bias", to + ".bias");
  }
  /// Tables of one row or more, one after the other.
  void stack(const std::string& to, const std::vector<std::string>& names, std::int64_t rows) {
    SamTensor tensor{{rows, 256}, {}};
    for (const std::string& name : names) {
      const std::vector<float>& values = from_.at(name + ".weight").values;
      tensor.values.insert(tensor.values.end(), values.begin(), values.end());
    }
    file_.tensors[to] = tensor;
  }
  /// (out, in) to (in, out), times `scale`.
  void linear(const std::string& from, const std::string& to, double scale = 1) {
    const SamTensor &weight = from_.at(from + ".weight"), &bias = from_.at(from + ".bias");
    const std::int64_t out = weight.shape[0], in = weight.shape[1];
    SamTensor turned{{in, out}, std::vector<float>(weight.values.size())}, scaled = bias;
    for (std::int64_t i = 0; i < in * out; ++i) {
      turned.values[static_cast<std::size_t>(i)] =
          static_cast<float>(scale * weight.values[static_cast<std::size_t>(i % out * in + i / out)]);
    }
    for (float& value : scaled.values) value = static_cast<float>(scale * value);
    file_.tensors[to + ".weight"] = turned;
    file_.tensors[to + ".bias"] = scaled;
  }
  void perceptron(const std::string& from, const std::string& to) {
    for (const char* i : {"0", "1", "2"}) linear(from + ".layers." + i, to + "." + i);
  }
  void to_image(const std::string& from, const std::string& to) {
    linear(from + ".q_proj", to + ".query", 0.25);
    copy(from + ".k_proj.weight", to + ".key.weight");
    linear(from + ".v_proj", to + ".value");
    linear(from + ".out_proj", to + ".out");
  }
  void layer(const std::string& from, const std::string& to) {
    const std::string self = from + ".self_attn", tell = from + ".cross_attn_image_to_token";
    linear(self + ".q_proj", to + ".self.query", 1 / std::sqrt(32.0));
    linear(self + ".k_proj", to + ".self.key");
    linear(self + ".v_proj", to + ".self.value");
    linear(self + ".out_proj", to + ".self.out");
    to_image(from + ".cross_attn_token_to_image", to + ".to_image");
    linear(from + ".mlp.lin1", to + ".mlp.fc1");
    linear(from + ".mlp.lin2", to + ".mlp.fc2");
    copy(tell + ".q_proj.weight", to + ".to_tokens.query.weight");
    copy(tell + ".q_proj.bias", to + ".to_tokens.query.bias");
    linear(tell + ".k_proj", to + ".to_tokens.key", 0.25);
    linear(tell + ".v_proj", to + ".to_tokens.value");
    linear(tell + ".out_proj", to + ".to_tokens.out");
    for (const char* i : {"1", "2", "3", "4"}) norm(from + ".norm" + i, to + ".norm" + i);
  }
  /// (in, out, 2, 2) to (in, 4 out), columns child by child; `centered`: the mean over a child's channels taken out.
  void upscale(const std::string& from, const std::string& to, bool centered) {
    const SamTensor &weight = from_.at(from + ".weight"), &bias = from_.at(from + ".bias");
    const std::int64_t in = weight.shape[0], out = weight.shape[1];
    SamTensor split{{in, 4 * out}, {}}, repeated{{4 * out}, {}};
    // The row `in` is the bias.
    for (std::int64_t i = 0; i <= in; ++i) {
      for (std::int64_t child = 0; child < 4; ++child) {
        const auto value = [&](std::int64_t o) -> double {
          return i == in ? bias.values[static_cast<std::size_t>(o)]
                         : weight.values[static_cast<std::size_t>((i * out + o) * 4 + child)];
        };
        double mean = 0;
        for (std::int64_t o = 0; centered && o < out; ++o) mean += value(o) / static_cast<double>(out);
        for (std::int64_t o = 0; o < out; ++o) {
          (i == in ? repeated : split).values.push_back(static_cast<float>(value(o) - mean));
        }
      }
    }
    file_.tensors[to + ".weight"] = split;
    file_.tensors[to + ".bias"] = repeated;
  }
  /// (out, in, height, width) to (height * width * in, out).
  void convolution(const std::string& from, const std::string& to) {
    const SamTensor& weight = from_.at(from + ".weight");
    const std::int64_t out = weight.shape[0], in = weight.shape[1], taps = weight.shape[2] * weight.shape[3];
    SamTensor turned{{taps * in, out}, {}};
    for (std::int64_t row = 0; row < taps * in; ++row) {
      for (std::int64_t o = 0; o < out; ++o) {
        turned.values.push_back(weight.values[static_cast<std::size_t>((o * in + row % in) * taps + row / in)]);
      }
    }
    file_.tensors[to + ".weight"] = turned;
    copy(from + ".bias", to + ".bias");
  }
  void prompts() {
    copy("pe_layer.positional_encoding_gaussian_matrix", "prompt.gaussian");
    stack("prompt.points",
          {"not_a_point_embed", "point_embeddings.0", "point_embeddings.1", "point_embeddings.2", "point_embeddings.3"},
          5);
    file_.tensors["prompt.no_mask"] = {{256}, from_.at("no_mask_embed.weight").values};
    if (!from_.sizes.masks) return;
    file_.about["mask_channels"] = {16};
    convolution("mask_downscaling.0", "mask.0");
    norm("mask_downscaling.1", "mask.0.norm");
    convolution("mask_downscaling.3", "mask.1");
    norm("mask_downscaling.4", "mask.1.norm");
    convolution("mask_downscaling.6", "mask.2");
  }

  const SamCheckpoint& from_;
  FoldedDecoderFile file_;
};

}  // namespace

std::string FoldedDecoderFile::bytes() const {
  nlohmann::json header = {{"__metadata__", {{"medsam_engine", about.dump()}}}};
  std::vector<float> values;
  for (const auto& [name, tensor] : tensors) {
    std::size_t count = 1;
    for (const std::int64_t side : tensor.shape) count *= static_cast<std::size_t>(side);
    const std::size_t begin = values.size();
    values.insert(values.end(), tensor.values.begin(), tensor.values.end());
    values.resize(begin + count);
    header[name] = {{"dtype", "F32"},
                    {"shape", tensor.shape},
                    {"data_offsets", {begin * sizeof(float), values.size() * sizeof(float)}}};
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8 + 64, ' ');  // room for what a test changes in it
  const std::uint64_t length = text.size();
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  bytes += text;
  bytes.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  return bytes;
}

FoldedDecoderFile folded_decoder_file(const SamCheckpoint& checkpoint) { return Folder(checkpoint).fold(); }

}  // namespace medsam::testing
