// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "support/tiny_vit_file.hpp"

#include <cstring>
#include <fstream>
#include <iterator>
#include <thread>

#include "backends/native/efficient_vit.hpp"
#include "backends/native/tiny_vit.hpp"
#include "medsam/error.hpp"

namespace medsam::testing {

namespace native = medsam::backends::native;
using kernels::Format;

namespace {

// One of each kind of layer, so that both kinds of products are reached.
constexpr native::Precision kPrecision = {.patch_embed = Format::f32,
                                          .bottleneck = Format::bf16,
                                          .merge_expand = Format::bf16,
                                          .merge_project = Format::f32,
                                          .attention = Format::bf16,
                                          .perceptron = Format::f32,
                                          .neck = Format::bf16};

constexpr native::EfficientVitPrecision kEfficientVitPrecision = {.stem = Format::f32,
                                                                  .convolution = Format::bf16,
                                                                  .bottleneck = Format::f32,
                                                                  .merge = Format::bf16,
                                                                  .merge_project = Format::f32,
                                                                  .attention = Format::bf16,
                                                                  .map = Format::bf16,
                                                                  .neck = Format::f32,
                                                                  .output = Format::bf16};

native::Network load(const native::Weights& weights) {
  if (weights.architecture() == "efficient_vit") return native::load_efficient_vit(weights, kEfficientVitPrecision);
  return native::load_tiny_vit(weights, kPrecision);
}

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<float> image(std::int64_t side) {
  std::vector<float> pixels(static_cast<std::size_t>(3 * side * side));
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<float>(i % 251) / 251;
  return pixels;
}

}  // namespace

std::string safetensors(const std::string& header, std::size_t floats) {
  std::string padded = header;
  padded.resize((header.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = padded.size();
  std::vector<float> values(floats);
  for (std::size_t i = 0; i < floats; ++i) values[i] = (static_cast<float>(i % 97) - 48) / 512;
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  bytes += padded;
  bytes.append(reinterpret_cast<const char*>(values.data()), floats * sizeof(float));
  return bytes;
}

std::string TinyVitFile::bytes() const {
  nlohmann::json header = {{"__metadata__", {{"medsam_engine", about.dump()}}}};
  std::size_t floats = 0;
  for (const auto& [name, shape] : tensors) {
    std::size_t count = 1;
    for (const std::int64_t d : shape) count *= static_cast<std::size_t>(d);
    const std::size_t begin = floats * sizeof(float);
    floats += count;
    header[name] = {{"dtype", "F32"}, {"shape", shape}, {"data_offsets", {begin, floats * sizeof(float)}}};
  }
  return safetensors(header.dump(), floats);
}

TinyVitFile tiny_vit_file(const TinyVitSizes& s) {
  TinyVitFile file;
  file.about = {{"format", "medsam-engine fused 1"},
                {"architecture", "tiny_vit"},
                {"input_size", {s.input}},
                {"strides", {1, 1, s.stride}},
                {"windows", {s.window}}};
  const auto layer = [&](const std::string& name, std::int64_t in, std::int64_t out, bool bias = true) {
    file.tensors[name + ".weight"] = {in, out};
    if (bias) file.tensors[name + ".bias"] = {out};
  };
  const auto bottleneck = [&](const std::string& name, std::int64_t in, std::int64_t hidden, std::int64_t out) {
    layer(name + ".expand", in, hidden);
    layer(name + ".depthwise", 9, hidden);
    layer(name + ".project", hidden, out);
  };
  layer("patch_embed.0", 3, s.planes);
  layer("patch_embed.1", s.planes, s.channels);
  bottleneck("stages.0.blocks.0", s.channels, s.hidden, s.channels);
  bottleneck("stages.0.merge", s.channels, s.merged, s.merged);
  const std::string block = "stages.1.blocks.0";
  layer(block + ".qkv", s.merged, 3 * s.merged);
  layer(block + ".proj", s.merged, s.merged);
  layer(block + ".depthwise", 9, s.merged);
  layer(block + ".fc1", s.merged, s.perceptron);
  layer(block + ".fc2", s.perceptron, s.merged);
  file.tensors[block + ".attention_biases"] = {s.merged / 32, s.window * s.window};
  layer("neck.0", s.merged, s.neck, false);
  layer("neck.1", 9 * s.neck, s.neck, false);
  for (const char* norm : {"neck.0.norm", "neck.1.norm"}) {
    file.tensors[std::string(norm) + ".weight"] = file.tensors[std::string(norm) + ".bias"] = {s.neck};
  }
  return file;
}

std::vector<float> encode(const std::string& path, int threads, int runs) {
  const std::string file = read(path);
  const native::Weights weights(path, file);
  const native::Network network = load(weights);
  weights.check_all_read();  // as the backend does
  native::ThreadPool pool(threads);
  const native::Machine machine = {kernels::available_encoder_targets().back(), &pool};
  const std::vector<float> pixels = image(network.input_shape.back());
  std::size_t size = 1;
  for (const std::int64_t d : network.output_shape) size *= static_cast<std::size_t>(d);
  std::vector<std::vector<float>> embeddings(static_cast<std::size_t>(runs), std::vector<float>(size));
  std::vector<std::thread> callers;
  for (std::vector<float>& embedding : embeddings) {
    callers.emplace_back([&] {
      native::Workspace workspace(network, pool.size());
      native::run(network, machine, pixels.data(), workspace, embedding.data());
    });
  }
  for (std::thread& caller : callers) caller.join();
  for (const std::vector<float>& embedding : embeddings) {
    if (std::memcmp(embedding.data(), embeddings[0].data(), size * sizeof(float)) != 0) {
      throw BackendError(path + ": two runs of the same image differ");
    }
  }
  return embeddings[0];
}

LoadedSize loaded_size(const std::string& path) {
  const std::string file = read(path);
  const native::Weights weights(path, file);
  const native::Network network = load(weights);
  weights.check_all_read();  // as the backend does
  return {network.footprint().weights, network.input_shape.back()};
}

}  // namespace medsam::testing
