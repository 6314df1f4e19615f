// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "decoder.hpp"

#include <algorithm>
#include <map>
#include <string>

#include "finite.hpp"
#include "medsam/error.hpp"

namespace medsam {

namespace {

// A prompt's activations take about 25 MB (LiteMedSAM), and a runtime keeps the memory and the prepared primitives of
// every shape it has seen: 1.3 GB after batches of 1 to 16, 0.3 GB with these. From 4 on a larger batch gains little
// (measured: 197 ms a box at 4, 189 at 8, 175 at 13; 268 at 1, on a busy machine).
constexpr std::size_t kBatchSizes[] = {4, 2, 1};

std::size_t next_batch(std::size_t prompts) {
  for (const std::size_t size : kBatchSizes) {
    if (size <= prompts) return size;
  }
  return prompts;
}

constexpr std::int32_t kNoPoint = -1, kBoxTopLeft = 2, kBoxBottomRight = 3;

}  // namespace

PromptTokens prompt_tokens(const Prompt& prompt, const ImageGeometry& geometry, const PromptRules& rules,
                           std::int64_t index) {
  PromptTokens tokens;
  const auto add = [&](float x, float y, std::int32_t label) {
    tokens.coords.push_back(x);
    tokens.coords.push_back(y);
    tokens.labels.push_back(label);
  };
  for (std::size_t i = 0; i < prompt.points.size(); ++i) {
    const Point& point = prompt.points[i];
    check_point(point, geometry.height, geometry.width, index, static_cast<std::int64_t>(i));
    if (point.label == -1) continue;
    float xy[2];
    map_point(geometry, point.x, point.y, xy);
    add(xy[0], xy[1], point.label);
  }
  if (tokens.labels.empty() && !prompt.box && prompt.mask_input == nullptr) {
    throw InvalidArgument("prompt " + std::to_string(index) + ": got nothing, expected a box, a point or a mask_input");
  }
  if (prompt.box) {
    float corners[4];
    map_box(geometry, checked_box(*prompt.box, geometry.height, geometry.width, index), rules.box_rounding, corners);
    add(corners[0], corners[1], kBoxTopLeft);
    add(corners[2], corners[3], kBoxBottomRight);
  } else {
    add(0, 0, kNoPoint);
  }
  tokens.mask_input = prompt.mask_input;
  return tokens;
}

PromptTokens box_tokens(const float corners[4]) {
  return {{corners[0], corners[1], corners[2], corners[3]}, {kBoxTopLeft, kBoxBottomRight}, nullptr};
}

Decoder::Decoder(const ModelFile& model, Compile compile)
    : compile_(std::move(compile)),
      low_height_(model.outputs.at(0).shape.at(2)),
      low_width_(model.outputs.at(0).shape.at(3)),
      pool_(compile_("decoder")) {}

void Decoder::decode(const backends::TensorPtr& embedding, const std::vector<PromptTokens>& prompts,
                     const std::vector<std::int32_t>& mask_index, const std::function<bool()>& cancelled,
                     const Sink& sink) {
  if (prompts.empty()) return;
  const bool masked = prompts[0].mask_input != nullptr;
  std::map<std::size_t, std::vector<std::size_t>> groups;  // by number of tokens: padding would change the masks
  for (std::size_t n = 0; n < prompts.size(); ++n) {
    if ((prompts[n].mask_input != nullptr) != masked) {
      throw InvalidArgument("mask_input: got one for some prompts only, expected one for each prompt or for none");
    }
    if (masked && !all_finite(prompts[n].mask_input, low_height_ * low_width_)) {
      throw InvalidArgument("mask_input " + std::to_string(n) + ": got NaN or infinity, expected finite logits");
    }
    groups[prompts[n].labels.size()].push_back(n);
  }
  RequestPool& pool = masked ? mask_pool() : pool_;
  for (const auto& [tokens, members] : groups) {
    for (std::size_t first = 0; first < members.size();) {
      if (cancelled && cancelled()) throw Cancelled("decoding: cancelled by the caller");
      const std::size_t size = next_batch(members.size() - first);
      const auto begin = members.begin() + static_cast<std::ptrdiff_t>(first);
      run_batch(pool, embedding, prompts, {begin, begin + static_cast<std::ptrdiff_t>(size)}, mask_index, sink);
      first += size;
    }
  }
}

void Decoder::run_batch(RequestPool& pool, const backends::TensorPtr& embedding,
                        const std::vector<PromptTokens>& prompts, const std::vector<std::size_t>& batch,
                        const std::vector<std::int32_t>& mask_index, const Sink& sink) {
  const auto n = static_cast<std::int64_t>(batch.size());
  const auto tokens = static_cast<std::int64_t>(prompts[batch[0]].labels.size());
  const auto masks = static_cast<std::int64_t>(mask_index.size());
  const std::int64_t low = low_height_ * low_width_;
  std::vector<backends::TensorPtr> outputs;
  {
    const RequestPool::Lease request = pool.acquire();
    request->bind(0, embedding);
    auto* coords = static_cast<float*>(request->input(1, {n, tokens, 2}));
    auto* labels = static_cast<std::int32_t*>(request->input(2, {n, tokens}));
    auto* index = static_cast<std::int32_t*>(request->input(3, {masks}));
    std::copy(mask_index.begin(), mask_index.end(), index);
    float* mask = prompts[batch[0]].mask_input == nullptr
                      ? nullptr
                      : static_cast<float*>(request->input(4, {n, 1, low_height_, low_width_}));
    for (const std::size_t member : batch) {
      const PromptTokens& prompt = prompts[member];
      coords = std::copy(prompt.coords.begin(), prompt.coords.end(), coords);
      labels = std::copy(prompt.labels.begin(), prompt.labels.end(), labels);
      if (mask != nullptr) mask = std::copy(prompt.mask_input, prompt.mask_input + low, mask);
    }
    outputs = request->run();
  }
  const backends::Shape logits_shape{n, masks, low_height_, low_width_};
  const backends::Shape iou_shape{n, masks};
  if (outputs.size() != 2 || outputs[0]->shape() != logits_shape || outputs[1]->shape() != iou_shape) {
    throw ModelError("decoder: its answer has another shape than the manifest says; export the bundle again");
  }
  const float* logits = outputs[0]->host();
  const float* iou = outputs[1]->host();
  if (!all_finite(logits, n * masks * low) || !all_finite(iou, n * masks)) {
    throw BackendError("mask decoder: got NaN or infinity in its answer, expected finite logits; use precision f32");
  }
  for (std::int64_t i = 0; i < n; ++i) {
    sink(batch[static_cast<std::size_t>(i)], logits + i * masks * low, iou + i * masks);
  }
}

RequestPool& Decoder::mask_pool() {
  const std::lock_guard lock(mutex_);
  if (!mask_pool_) mask_pool_ = std::make_unique<RequestPool>(compile_("decoder_mask"));
  return *mask_pool_;
}

}  // namespace medsam
