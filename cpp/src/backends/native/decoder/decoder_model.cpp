// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The decoder behind the engine's interface: inputs by the names of docs/bundle.md, in the manifest's order.
#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "backends/native/architecture.hpp"
#include "backends/native/decoder/decoding.hpp"
#include "base/text.hpp"
#include "medsam/error.hpp"

namespace medsam::backends::native {

namespace {

enum class Role : std::uint8_t { embedding, coords, labels, mask_index, mask_input };
constexpr std::array<const char*, 5> kNames = {"image_embedding", "point_coords", "point_labels", "mask_index",
                                               "mask_input"};

/// What a model and its requests share.
struct Loaded {
  SamDecoder decoder;
  std::vector<Role> inputs;  // by their index in the manifest
  std::shared_ptr<ThreadPool> threads;
  Machine machine{};

  [[nodiscard]] bool takes(Role role) const { return std::find(inputs.begin(), inputs.end(), role) != inputs.end(); }
};

class DecoderRequest final : public Request {
 public:
  explicit DecoderRequest(std::shared_ptr<const Loaded> loaded)
      : loaded_(std::move(loaded)),
        workspace_(loaded_->decoder, loaded_->threads->size(), !loaded_->takes(Role::mask_input)) {}

  void* input(std::size_t index, const Shape& shape) override {
    const Role role = role_of(index);
    if (role == Role::embedding) throw BackendError("native decoder: an embedding is bound, not written");
    // Where there is no memory for it, run() must neither read as much nor what was there before.
    Shape& taken = shapes_[static_cast<std::size_t>(role)];
    taken.clear();
    const auto count = static_cast<std::size_t>(element_count(shape));
    void* values = role == Role::labels       ? resized(labels_, count)
                   : role == Role::mask_index ? resized(mask_index_, count)
                   : role == Role::coords     ? resized(coords_, count)
                                              : resized(masks_, count);
    taken = shape;
    return values;
  }

  void bind(std::size_t index, const TensorPtr& tensor) override {
    if (role_of(index) != Role::embedding) throw BackendError("native decoder: only an embedding can be bound");
    embedding_ = tensor;
  }

  std::vector<TensorPtr> run() override { return run_part({loaded_->decoder.side(), loaded_->decoder.side()}); }

  std::vector<TensorPtr> run_part(const MapPart& part) override {
    const SamDecoder& decoder = loaded_->decoder;
    const DecoderInput input = checked_input();
    const std::int64_t rows = tokens_of("height", part.height), columns = tokens_of("width", part.width);
    auto logits = std::make_shared<HostTensor>(Shape{input.prompts, input.masks, 4 * rows, 4 * columns});
    auto quality = std::make_shared<HostTensor>(Shape{input.prompts, input.masks});
    // The same tensor, not one that took its place in memory: a dead tensor's pointer never locks.
    const bool prepared = prepared_.lock() == embedding_;
    prepared_.reset();
    run_decoder(decoder, loaded_->machine, input, workspace_, prepared,
                {rows, columns, logits->mutable_host(), quality->mutable_host()});
    prepared_ = embedding_;
    embedding_.reset();
    return {logits, quality};
  }

 private:
  template <class T>
  static void* resized(std::vector<T>& values, std::size_t count) {
    values.resize(count);
    return values.data();
  }

  [[nodiscard]] Role role_of(std::size_t index) const {
    if (index >= loaded_->inputs.size()) throw BackendError("native decoder: got an input that it does not have");
    return loaded_->inputs[index];
  }

  /// How many image tokens of a side this many logits are made of.
  [[nodiscard]] std::int64_t tokens_of(const char* name, std::int64_t logits) const {
    if (logits >= 1 && logits <= loaded_->decoder.side()) return (logits + 3) / 4;
    throw BackendError(std::string("native decoder: part of the logits: got a ") + name + " of " +
                       std::to_string(logits) + ", expected 1 to " + std::to_string(loaded_->decoder.side()));
  }

  void expect(Role role, const Shape& shape) const {
    if (shapes_[static_cast<std::size_t>(role)] == shape) return;
    throw BackendError(std::string("native decoder: ") + kNames[static_cast<std::size_t>(role)] + ": got shape " +
                       shape_text(shapes_[static_cast<std::size_t>(role)]) + ", expected " + shape_text(shape));
  }

  // Labels and indices are places in tables: what lies beside them must not be read, whoever calls.
  static void expect_range(const char* name, const std::vector<std::int32_t>& values, std::int32_t least,
                           std::int32_t most) {
    for (const std::int32_t value : values) {
      if (value >= least && value <= most) continue;
      throw BackendError(std::string("native decoder: ") + name + ": got " + std::to_string(value) + ", expected " +
                         std::to_string(least) + " to " + std::to_string(most));
    }
  }

  [[nodiscard]] DecoderInput checked_input() const {
    const SamDecoder& decoder = loaded_->decoder;
    const Shape& coords = shapes_[static_cast<std::size_t>(Role::coords)];
    if (coords.size() != 3 || coords[0] < 1 || coords[1] < 1) {
      throw BackendError("native decoder: point_coords: got shape " + shape_text(coords) +
                         ", expected (prompts, tokens, 2)");
    }
    const std::int64_t prompts = coords[0], tokens = coords[1];
    expect(Role::coords, {prompts, tokens, 2});
    expect(Role::labels, {prompts, tokens});
    expect(Role::mask_index, {static_cast<std::int64_t>(mask_index_.size())});
    if (mask_index_.empty()) throw BackendError("native decoder: mask_index: got none, expected at least one");
    const Shape embedding{1, decoder.dim, decoder.grid, decoder.grid};
    if (!embedding_ || embedding_->shape() != embedding) {
      throw BackendError("native decoder: image_embedding: got " +
                         (embedding_ ? "shape " + shape_text(embedding_->shape()) : "none") + ", expected " +
                         shape_text(embedding));
    }
    expect_range("point_labels", labels_, -1, 3);
    expect_range("mask_index", mask_index_, 0, static_cast<std::int32_t>(decoder.masks()) - 1);
    DecoderInput input;
    input.embedding = embedding_->host();
    input.prompts = prompts;
    input.tokens = tokens;
    input.coords = coords_.data();
    input.labels = labels_.data();
    input.mask_index = mask_index_.data();
    input.masks = static_cast<std::int64_t>(mask_index_.size());
    if (loaded_->takes(Role::mask_input)) {
      expect(Role::mask_input, {prompts, 1, decoder.side(), decoder.side()});
      input.mask_input = masks_.data();
    }
    return input;
  }

  std::shared_ptr<const Loaded> loaded_;
  DecoderWorkspace workspace_;
  std::array<Shape, kNames.size()> shapes_;
  std::vector<float> coords_, masks_;
  std::vector<std::int32_t> labels_, mask_index_;
  TensorPtr embedding_;
  std::weak_ptr<const Tensor> prepared_;  // whose image the workspace has
};

class DecoderModel final : public CompiledModel {
 public:
  explicit DecoderModel(std::shared_ptr<const Loaded> loaded) : loaded_(std::move(loaded)) {}
  std::unique_ptr<Request> create_request() const override { return std::make_unique<DecoderRequest>(loaded_); }
  // A prompt takes 3 MB of bf16, or 5 MB of f32, and the tokens' weights are read once for all.
  std::size_t largest_batch() const override { return static_cast<std::size_t>(kBatch); }

 private:
  std::shared_ptr<const Loaded> loaded_;
};

void check(const Weights& weights, const ModelFile& file, const Loaded& loaded) {
  const SamDecoder& decoder = loaded.decoder;
  const Shape embedding{1, decoder.dim, decoder.grid, decoder.grid}, logits{-1, -1, decoder.side(), decoder.side()};
  if (file.inputs.at(static_cast<std::size_t>(file.input_index("image_embedding"))).shape != embedding) {
    weights.refuse("takes an embedding " + shape_text(embedding) + ", not the encoder's");
  }
  if (file.outputs.size() != 2 || file.outputs[0].shape != logits) {
    weights.refuse("makes logits " + shape_text(logits) + ", not the manifest's");
  }
  // Otherwise every point would lie somewhere else, and no shape would tell.
  if (static_cast<double>(decoder.prompt.frame) != file.prompt_frame ||
      static_cast<double>(decoder.prompt.shift) != file.point_shift) {
    weights.refuse("is for a frame of " + std::to_string(decoder.prompt.frame) + " pixels and prompts shifted by " +
                   weights.text("point_shift") + ", not the manifest's");
  }
  if (loaded.takes(Role::mask_input) && decoder.prompt.mask.channels == 0) {
    weights.refuse("has no layers for a mask_input");
  }
}

}  // namespace

std::shared_ptr<const CompiledModel> load_sam_decoder_model(const Weights& weights, const ModelFile& file,
                                                            const CompileOptions& options) {
  auto loaded = std::make_shared<Loaded>();
  for (const TensorSpec& input : file.inputs) {
    const auto name = std::find(kNames.begin(), kNames.end(), input.name);
    if (name == kNames.end()) weights.refuse("does not take the input \"" + input.name.substr(0, 40) + "\"");
    loaded->inputs.push_back(static_cast<Role>(name - kNames.begin()));
  }
  for (const Role role : {Role::embedding, Role::coords, Role::labels, Role::mask_index}) {
    if (!loaded->takes(role)) {
      weights.refuse(std::string("needs the input \"") + kNames[static_cast<std::size_t>(role)] + "\"");
    }
  }
  loaded->decoder = load_sam_decoder(weights, options.precision == kBf16Fused ? Format::bf16 : Format::f32);
  check(weights, file, *loaded);
  loaded->threads = pool_of_model(options.threads);
  loaded->machine = {&kernels::encoder_target(), loaded->threads.get()};
  return std::make_shared<DecoderModel>(loaded);
}

}  // namespace medsam::backends::native
