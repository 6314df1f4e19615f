// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The native decoder's model, made of a random checkpoint, and how its requests are used.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backends/backend.hpp"
#include "backends/native/architecture.hpp"
#include "support/folded_decoder_file.hpp"
#include "support/sam_checkpoint.hpp"

namespace medsam::testing {

/// The manifest's entry of a decoder of these sizes.
inline ModelFile sam_model_file(const SamSizes& sizes) {
  const std::int64_t side = 4 * sizes.grid;
  ModelFile file;
  file.name = file.role = sizes.masks ? "decoder_mask" : "decoder";
  file.onnx = false;
  file.prompt_frame = static_cast<double>(sizes.frame);
  file.point_shift = std::string(sizes.shift) == "0" ? 0 : 0.5;
  const auto spec = [](const char* name, backends::Shape shape) {
    TensorSpec tensor;
    tensor.name = name;
    tensor.shape = std::move(shape);
    return tensor;
  };
  file.inputs = {spec("image_embedding", {1, 256, sizes.grid, sizes.grid}), spec("point_coords", {-1, -1, 2}),
                 spec("point_labels", {-1, -1}), spec("mask_index", {-1})};
  if (sizes.masks) file.inputs.push_back(spec("mask_input", {-1, 1, side, side}));
  file.outputs = {spec("low_res_logits", {-1, -1, side, side}), spec("iou_predictions", {-1, -1})};
  return file;
}

using SamModel = std::shared_ptr<const backends::CompiledModel>;

/// ModelError.
inline SamModel load_sam_model(const std::string& bytes, const SamSizes& sizes, const char* precision,
                               int threads = 1) {
  const backends::native::Weights weights("weights", bytes);
  SamModel model = backends::native::load_sam_decoder_model(weights, sam_model_file(sizes), {precision, threads, {}});
  weights.check_all_read();  // as the backend does
  return model;
}
inline SamModel sam_model(const SamCheckpoint& checkpoint, const char* precision, int threads = 1) {
  return load_sam_model(folded_decoder_file(checkpoint).bytes(), checkpoint.sizes, precision, threads);
}

inline backends::TensorPtr embedding_tensor(const SamSizes& sizes, const std::vector<float>& values) {
  auto tensor = std::make_shared<backends::HostTensor>(backends::Shape{1, 256, sizes.grid, sizes.grid});
  std::copy(values.begin(), values.end(), tensor->mutable_host());
  return tensor;
}

struct SamOutput {
  std::vector<float> logits, quality;
  bool operator==(const SamOutput& other) const {
    const auto same = [](const std::vector<float>& a, const std::vector<float>& b) {
      return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
    };
    return same(logits, other.logits) && same(quality, other.quality);
  }
  /// What is about prompt `i` of `prompts`.
  [[nodiscard]] SamOutput only(std::int64_t i, std::int64_t prompts) const {
    const auto part = [=](const std::vector<float>& values) {
      const auto length = static_cast<std::ptrdiff_t>(values.size()) / prompts;
      return std::vector<float>(values.begin() + i * length, values.begin() + (i + 1) * length);
    };
    return {part(logits), part(quality)};
  }
};

template <class T>
void fill(backends::Request& request, std::size_t index, const backends::Shape& shape, const std::vector<T>& values) {
  std::copy(values.begin(), values.end(), static_cast<T*>(request.input(index, shape)));
}

inline void fill_prompts(backends::Request& request, const SamSizes& sizes, const SamPrompts& p) {
  fill(request, 1, {p.prompts, p.tokens, 2}, p.coords);
  fill(request, 2, {p.prompts, p.tokens}, p.labels);
  fill(request, 3, {static_cast<std::int64_t>(p.mask_index.size())}, p.mask_index);
  if (sizes.masks) fill(request, 4, {p.prompts, 1, 4 * sizes.grid, 4 * sizes.grid}, p.mask_input);
}

inline SamOutput output_of(const std::vector<backends::TensorPtr>& outputs) {
  const auto values = [](const backends::Tensor& t) {
    return std::vector<float>(t.host(), t.host() + backends::element_count(t.shape()));
  };
  return {values(*outputs.at(0)), values(*outputs.at(1))};
}

inline SamOutput decode(backends::Request& request, const SamSizes& sizes, const backends::TensorPtr& embedding,
                        const SamPrompts& prompts) {
  fill_prompts(request, sizes, prompts);
  request.bind(0, embedding);
  return output_of(request.run());
}

/// The largest difference, in parts of the range of what is expected.
inline double difference(const std::vector<float>& got, const std::vector<double>& expected) {
  if (got.size() != expected.size()) return INFINITY;
  const auto [least, most] = std::minmax_element(expected.begin(), expected.end());
  double worst = 0;
  for (std::size_t i = 0; i < got.size(); ++i) worst = std::max(worst, std::abs(got[i] - expected[i]));
  return worst / std::max(*most - *least, 1e-3);
}

}  // namespace medsam::testing
