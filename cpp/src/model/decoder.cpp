// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "model/decoder.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "base/finite.hpp"
#include "medsam/error.hpp"
#include "model/crop.hpp"

namespace medsam {

namespace {

// Powers of two, so that a runtime sees few shapes.
std::size_t next_batch(std::size_t prompts, std::size_t largest) {
  std::size_t size = largest;
  while (size > prompts) size /= 2;
  return size;
}

void stop_if(const std::function<bool()>& cancelled) {
  if (cancelled && cancelled()) throw Cancelled("decoding: cancelled by the caller");
}

/// Where the engine takes an input of a decoder from.
enum class Source { encoder, point_coords, point_labels, mask_index, mask_input, crop, crop_features, modality };

Source source_of(const std::string& name) {
  static const std::map<std::string, Source> kSources = {{"point_coords", Source::point_coords},
                                                         {"point_labels", Source::point_labels},
                                                         {"mask_index", Source::mask_index},
                                                         {"mask_input", Source::mask_input},
                                                         {"crop", Source::crop},
                                                         {"crop_features", Source::crop_features},
                                                         {"modality", Source::modality}};
  const auto it = kSources.find(name);
  return it == kSources.end() ? Source::encoder : it->second;  // the bundle's check has refused every other name
}

}  // namespace

struct Decoder::Graph {
  struct Input {
    Source source = Source::encoder;
    std::size_t output = 0;  // Source::encoder: which of its outputs
    backends::Shape shape;   // as in the manifest
  };
  Graph(const ModelFile& model, const ModelFile& encoder, std::shared_ptr<const backends::CompiledModel> compiled)
      : pool(std::move(compiled)) {
    for (const TensorSpec& input : model.inputs) {
      const std::ptrdiff_t made = encoder.output_index(input.name);
      inputs.push_back({made >= 0 ? Source::encoder : source_of(input.name),
                        made >= 0 ? static_cast<std::size_t>(made) : 0, input.shape});
    }
  }
  [[nodiscard]] bool needs(Source source) const {
    return std::any_of(inputs.begin(), inputs.end(), [&](const Input& input) { return input.source == source; });
  }
  std::vector<Input> inputs;  // in the graph's order
  RequestPool pool;
};

/// What all batches of one call of decode share.
struct Decoder::Call {
  const detail::EmbeddingData& image;
  const std::vector<PromptTokens>& prompts;
  const Wanted& wanted;
  std::vector<float> crop_features;  // (N, K)
};

Decoder::Decoder(const ModelSet& models, FromBox from_box, Compile compile)
    : models_(models),
      compile_(std::move(compile)),
      low_height_(models.at("decoder").low_res_size().height),
      low_width_(models.at("decoder").low_res_size().width) {
  static_cast<void>(graph(from_box == FromBox::corners ? "decoder" : "decoder_mask"));
  if (models.count("crop_encoder") != 0) static_cast<void>(graph("crop_encoder"));
}

Decoder::~Decoder() = default;

std::shared_ptr<Decoder::Graph> Decoder::graph(const std::string& role) {
  return graphs_.get(role, [&] {
    const auto model = models_.find(role);
    if (model == models_.end()) {
      throw Unsupported("prompt: got a mask_input, but this bundle has no model \"" + role + "\"; leave it out");
    }
    return std::make_shared<Graph>(model->second, models_.at("encoder"), compile_(model->second));
  });
}

void Decoder::decode(const detail::EmbeddingData& image, const std::vector<PromptTokens>& prompts, const Wanted& wanted,
                     const std::function<bool()>& cancelled, const Sink& sink) {
  if (prompts.empty()) return;
  // By mask and number of tokens: padding would change the masks.
  std::map<std::pair<bool, std::size_t>, std::vector<std::size_t>> groups;
  for (std::size_t n = 0; n < prompts.size(); ++n) {
    const float* mask = prompts[n].mask();
    if (mask != nullptr && !all_finite(mask, low_height_ * low_width_)) {
      throw InvalidArgument("mask_input " + std::to_string(n) + ": got NaN or infinity, expected finite numbers");
    }
    groups[{mask != nullptr, prompts[n].labels.size()}].push_back(n);
  }
  Call call{image, prompts, wanted, crop_features(image, prompts, cancelled)};
  for (const auto& [kind, members] : groups) {
    const std::shared_ptr<Graph> graph = this->graph(kind.first ? "decoder_mask" : "decoder");
    for (std::size_t first = 0; first < members.size();) {
      stop_if(cancelled);
      const std::size_t size = next_batch(members.size() - first, graph->pool.largest_batch());
      const auto begin = members.begin() + static_cast<std::ptrdiff_t>(first);
      run_batch(*graph, call, {begin, begin + static_cast<std::ptrdiff_t>(size)}, sink);
      first += size;
    }
  }
}

std::vector<float> Decoder::crop_features(const detail::EmbeddingData& image, const std::vector<PromptTokens>& prompts,
                                          const std::function<bool()>& cancelled) {
  std::vector<float> features;
  if (models_.count("crop_encoder") == 0) return features;
  const std::shared_ptr<Graph> graph = this->graph("crop_encoder");
  const std::int64_t side = graph->inputs[0].shape.at(2);
  backends::Shape expected = models_.at("crop_encoder").outputs.at(0).shape;
  for (std::size_t first = 0; first < prompts.size();) {
    stop_if(cancelled);
    const std::size_t size = next_batch(prompts.size() - first, graph->pool.largest_batch());
    expected[0] = static_cast<std::int64_t>(size);
    std::vector<backends::TensorPtr> outputs;
    {
      const RequestPool::Lease request = graph->pool.acquire();
      auto* crops = static_cast<float*>(request->input(0, {expected[0], 3, side, side}));
      for (std::size_t i = 0; i < size; ++i) {
        crop_input(*image.pixels, prompts[first + i].crop_box, side,
                   crops + static_cast<std::ptrdiff_t>(i) * 3 * side * side);
      }
      outputs = request->run();
    }
    if (outputs.size() != 1 || outputs[0]->shape() != expected) {
      throw ModelError("crop encoder: its answer has another shape than the manifest says; export the bundle again");
    }
    const std::int64_t count = backends::element_count(expected);
    if (!outputs[0]->finite()) {
      throw BackendError("crop encoder: got NaN or infinity in its answer, expected finite values; use precision f32");
    }
    features.insert(features.end(), outputs[0]->host(), outputs[0]->host() + count);
    first += size;
  }
  return features;
}

namespace {

/// Fills the inputs of one batch, one after the other.
struct BatchInputs {
  backends::Request& request;
  const std::vector<PromptTokens>& prompts;
  const std::vector<std::size_t>& batch;

  [[nodiscard]] std::int64_t size() const { return static_cast<std::int64_t>(batch.size()); }
  [[nodiscard]] std::int64_t tokens() const { return static_cast<std::int64_t>(prompts[batch[0]].labels.size()); }

  void coords(std::size_t index) const {
    auto* to = static_cast<float*>(request.input(index, {size(), tokens(), 2}));
    for (const std::size_t n : batch) to = std::copy(prompts[n].coords.begin(), prompts[n].coords.end(), to);
  }
  void labels(std::size_t index) const {
    auto* to = static_cast<std::int32_t*>(request.input(index, {size(), tokens()}));
    for (const std::size_t n : batch) to = std::copy(prompts[n].labels.begin(), prompts[n].labels.end(), to);
  }
  void masks(std::size_t index, std::int64_t height, std::int64_t width) const {
    auto* to = static_cast<float*>(request.input(index, {size(), 1, height, width}));
    for (const std::size_t n : batch) to = std::copy(prompts[n].mask(), prompts[n].mask() + height * width, to);
  }
  void crops(std::size_t index, const detail::Pixels& image, std::int64_t side) const {
    auto* to = static_cast<float*>(request.input(index, {size(), 3, side, side}));
    for (const std::size_t n : batch) {
      crop_input(image, prompts[n].crop_box, side, to);
      to += 3 * side * side;
    }
  }
  void rows(std::size_t index, backends::Shape shape, const std::vector<float>& values) const {
    shape[0] = size();
    const std::int64_t row = backends::element_count(shape) / size();
    auto* to = static_cast<float*>(request.input(index, shape));
    for (const std::size_t n : batch) {
      const float* from = values.data() + static_cast<std::ptrdiff_t>(n) * row;
      to = std::copy(from, from + row, to);
    }
  }
  void indices(std::size_t index, const std::vector<std::int32_t>& values) const {
    auto* to = static_cast<std::int32_t*>(request.input(index, {static_cast<std::int64_t>(values.size())}));
    std::copy(values.begin(), values.end(), to);
  }
};

}  // namespace

void Decoder::check_shapes(const std::vector<backends::TensorPtr>& outputs, std::int64_t prompts,
                           const Wanted& wanted) const {
  const auto masks = static_cast<std::int64_t>(wanted.mask_index.size());
  const backends::MapPart least = wanted.part.value_or(backends::MapPart{low_height_, low_width_});
  const auto fits = [&](const backends::Shape& logits) {
    return logits.size() == 4 && logits[0] == prompts && logits[1] == masks && logits[2] >= least.height &&
           logits[2] <= low_height_ && logits[3] >= least.width && logits[3] <= low_width_;
  };
  if (outputs.size() == 2 && fits(outputs[0]->shape()) && outputs[1]->shape() == backends::Shape{prompts, masks})
    return;
  throw ModelError("decoder: its answer has another shape than the manifest says; export the bundle again");
}

void Decoder::run_batch(Graph& graph, const Call& call, const std::vector<std::size_t>& batch, const Sink& sink) {
  const auto n = static_cast<std::int64_t>(batch.size());
  const auto masks = static_cast<std::int64_t>(call.wanted.mask_index.size());
  std::vector<backends::TensorPtr> outputs;
  {
    const RequestPool::Lease request = graph.pool.acquire();
    const BatchInputs fill{*request.get(), call.prompts, batch};
    for (std::size_t i = 0; i < graph.inputs.size(); ++i) {
      const Graph::Input& input = graph.inputs[i];
      switch (input.source) {
        case Source::encoder:
          request->bind(i, call.image.outputs.at(input.output));
          break;
        case Source::point_coords:
          fill.coords(i);
          break;
        case Source::point_labels:
          fill.labels(i);
          break;
        case Source::mask_index:
          fill.indices(i, call.wanted.mask_index);
          break;
        case Source::mask_input:
          fill.masks(i, low_height_, low_width_);
          break;
        case Source::crop:
          fill.crops(i, *call.image.pixels, input.shape.at(2));
          break;
        case Source::crop_features:
          fill.rows(i, input.shape, call.crop_features);
          break;
        case Source::modality:
          fill.indices(i, {call.image.modality});
          break;
      }
    }
    outputs = call.wanted.part ? request->run_part(*call.wanted.part) : request->run();
  }
  check_shapes(outputs, n, call.wanted);
  if (!outputs[0]->finite() || !outputs[1]->finite()) {
    throw BackendError("mask decoder: got NaN or infinity in its answer, expected finite logits; use precision f32");
  }
  const float* iou = outputs[1]->host();
  for (std::int64_t i = 0; i < n; ++i) {
    sink(batch[static_cast<std::size_t>(i)], {outputs[0], i, iou + i * masks});
  }
}

}  // namespace medsam
