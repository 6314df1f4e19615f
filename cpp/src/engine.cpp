// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Wires the stages: bundle -> backend -> encoder and decoder -> masks.
#include "medsam/engine.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <stdexcept>

#include "backends/backend.hpp"
#include "bundle.hpp"
#include "cache_folder.hpp"
#include "decoder.hpp"
#include "edge.hpp"
#include "embedding_cache.hpp"
#include "embedding_data.hpp"
#include "embedding_file.hpp"
#include "finite.hpp"
#include "kernels/kernels.hpp"
#include "medsam/version.hpp"
#include "prediction.hpp"
#include "preprocess.hpp"
#include "request_pool.hpp"
#include "sha256.hpp"
#include "volume.hpp"

namespace medsam {

using backends::Shape;

struct Engine::Impl {
  Impl(const std::string& folder, EngineOptions opts);

  ImageEmbedding encode(const ImageView& image, EmbeddingCache::Keep keep = EmbeddingCache::Keep::evicting) const;
  ImageEmbedding run_encoder(const ImageView& image) const;
  std::vector<MaskStats> segment(const ImageEmbedding& embedding, const std::vector<Box>& boxes, const LabelView& out,
                                 const SegmentOptions& options) const;
  Prediction predict(const ImageEmbedding& embedding, const std::vector<Prompt>& prompts,
                     const PredictOptions& options) const;
  std::vector<VolumeStats> segment_volume(const VolumeView& volume, const std::vector<Box3D>& boxes,
                                          const LabelVolumeView& out, const VolumeOptions& options) const;

  void check_process() const;
  const detail::EmbeddingData& checked(const ImageEmbedding& embedding) const;

  EngineOptions options;
  CacheFolder cache;
  Bundle bundle;
  ImageRules image_rules;  // the bundle's own: they belong to the weights
  Profile profile;
  std::unique_ptr<backends::Backend> backend;
  mutable std::unique_ptr<RequestPool> encoder;  // pools lock themselves
  mutable std::unique_ptr<Decoder> decoder;
  mutable EmbeddingCache embeddings;  // locks itself
  EmbeddingStore store;
  mutable std::atomic<std::uint64_t> store_hits{0};
  EngineInfo info;
  pid_t pid = ::getpid();

 private:
  std::shared_ptr<const backends::CompiledModel> compile(const char* role, std::vector<Shape> shapes = {}) const;
  void describe();
};

namespace {

CacheFolder::Log warnings(const EngineOptions& options) {
  return [log = options.log](const std::string& text) {
    if (log) log(LogLevel::warning, text);
  };
}

Profile choose_profile(const std::string& name, const Bundle& bundle) {
  return name.empty() || name == bundle.profile.name ? bundle.profile : builtin_profile(name);
}

// Everything that decides an embedding's values, but for rounding noise.
std::string embedding_fingerprint(const Bundle& bundle, const ImageRules& rules, const EngineOptions& options) {
  const Json text = {{"encoder", bundle.model("encoder").sha256},
                     {"input_size", bundle.input_size},
                     {"prompt_frame", bundle.prompt_frame},
                     {"precision", options.precision},
                     {"storage", static_cast<int>(options.embedding_storage)},
                     {"fit", static_cast<int>(rules.fit)},
                     {"interpolation", static_cast<int>(rules.interpolation)},
                     {"normalize", static_cast<int>(rules.normalize)},
                     {"min_range", rules.min_range},
                     {"mean", rules.mean},
                     {"std", rules.std}};
  return sha256_hex(text.dump());
}

}  // namespace

Engine::Impl::Impl(const std::string& folder, EngineOptions opts)
    : options(std::move(opts)),
      cache(options.cache_dir, warnings(options)),
      bundle(read_bundle(folder)),
      image_rules(*bundle.profile.image),
      profile(choose_profile(options.profile, bundle)),
      embeddings(options.cache_bytes),
      store(options.embedding_store, options.embedding_store_bytes, warnings(options)) {
  if (options.threads < 0 || options.threads > 4096) {
    throw InvalidArgument("threads: got " + std::to_string(options.threads) + ", expected 0 (all cores) to 4096");
  }
  try {
    static_cast<void>(kernels::table());
  } catch (const std::invalid_argument& e) {
    throw Unsupported(e.what());
  }
  backend = backends::create_backend(options.device);
  const Shape image{1, 3, bundle.input_size, bundle.input_size};
  auto compiling = std::async(std::launch::async, [&] { return compile("encoder", {image}); });
  decoder = std::make_unique<Decoder>(bundle.model("decoder"), [this](const char* role) { return compile(role); });
  encoder = std::make_unique<RequestPool>(compiling.get());
  describe();
}

std::shared_ptr<const backends::CompiledModel> Engine::Impl::compile(const char* role,
                                                                     std::vector<Shape> shapes) const {
  if (!bundle.has(role)) {
    throw Unsupported(std::string("this bundle has no model \"") + role +
                      "\", which the prompt needs; export it again");
  }
  const ModelFile& model = bundle.model(role);
  verify_model(model, cache, options.verify);
  return backend->compile(model, {options.precision, options.threads, std::move(shapes)}, cache);
}

void Engine::Impl::describe() {
  info.family = bundle.family;
  info.profile = profile.name;
  info.device = backend->device();
  info.precision = options.precision;
  info.backend = backend->name();
  info.model_hash = bundle.model_hash;
  info.fingerprint = embedding_fingerprint(bundle, image_rules, options);
  info.threads = options.threads;
  info.input_size = bundle.input_size;
  info.embedding_shape = bundle.model("encoder").outputs[0].shape;
  info.embedding_shape[0] = 1;
  info.mask_shape = {decoder->low_height(), decoder->low_width()};
  info.accepts_points = true;
  info.accepts_mask = bundle.has("decoder_mask");
}

void Engine::Impl::check_process() const {
  if (::getpid() != pid) {
    throw Unsupported(
        "engine: used in a child process after fork, where its threads do not exist; create the Engine in the child, "
        "or "
        "start processes with the spawn method");
  }
}

const detail::EmbeddingData& Engine::Impl::checked(const ImageEmbedding& embedding) const {
  if (!embedding.valid()) {
    throw InvalidArgument("embedding: got an empty ImageEmbedding, expected one made by Engine::encode");
  }
  if (embedding.fingerprint() != info.fingerprint) {
    throw ModelError("embedding: made by another model or precision (fingerprint " +
                     embedding.fingerprint().substr(0, 12) + "...), expected " + info.fingerprint.substr(0, 12) +
                     "...; encode the image with this engine");
  }
  // A saved embedding is a file anyone may have edited: trust nothing that a mask's geometry follows from.
  const detail::EmbeddingData& data = *embedding.impl();
  const ImageGeometry& g = data.geometry;
  const bool sane = g.height >= 1 && g.width >= 1 && data.outputs.size() == bundle.model("encoder").outputs.size() &&
                    data.outputs[0]->shape() == info.embedding_shape &&
                    g == image_geometry(g.height, g.width, bundle.input_size, bundle.prompt_frame, image_rules.fit);
  if (!sane) throw ModelError("embedding: its geometry or shape is not this model's; encode the image again");
  return data;
}

ImageEmbedding Engine::Impl::encode(const ImageView& image, EmbeddingCache::Keep keep) const {
  check_process();
  check_image(image);
  const EmbeddingKey key = embedding_key(image, info.fingerprint);
  const auto make = [&] {
    if (auto stored = store.load(key, info.fingerprint)) {
      store_hits.fetch_add(1);
      return *stored;
    }
    ImageEmbedding embedding = run_encoder(image);
    if (options.embedding_storage == EmbeddingStorage::f16) embedding = compacted(embedding);
    store.save(key, embedding);
    return embedding;
  };
  return expanded(embeddings.get(key, make, keep));
}

ImageEmbedding Engine::Impl::run_encoder(const ImageView& image) const {
  auto data = std::make_shared<detail::EmbeddingData>();
  data->geometry = image_geometry(image.height, image.width, bundle.input_size, bundle.prompt_frame, image_rules.fit);
  {
    const RequestPool::Lease request = encoder->acquire();
    auto* input = static_cast<float*>(request->input(0, {1, 3, bundle.input_size, bundle.input_size}));
    preprocess(image, data->geometry, image_rules, input);
    data->outputs = request->run();
  }
  if (data->outputs.at(0)->shape() != info.embedding_shape) {
    throw ModelError("encoder: its output has another shape than the manifest says; export the bundle again");
  }
  for (const auto& output : data->outputs) {
    if (!all_finite(output->host(), backends::element_count(output->shape()))) {
      throw BackendError(
          "image encoder: got NaN or infinity in the embedding, expected finite values; use precision f32");
    }
  }
  data->fingerprint = info.fingerprint;
  data->storage = options.embedding_storage;
  return ImageEmbedding(std::move(data));
}

Prediction Engine::Impl::predict(const ImageEmbedding& embedding, const std::vector<Prompt>& prompts,
                                 const PredictOptions& predict_options) const {
  check_process();
  const detail::EmbeddingData& data = checked(embedding);
  // SAM's mask tokens: 0 is the single mask, 1 to 3 the alternatives (mask_decoder.py forward).
  const std::vector<std::int32_t> index =
      predict_options.multimask_output ? std::vector<std::int32_t>{1, 2, 3} : std::vector<std::int32_t>{0};
  std::vector<PromptTokens> tokens;
  tokens.reserve(prompts.size());
  for (const Prompt& prompt : prompts) {
    tokens.push_back(prompt_tokens(prompt, data.geometry, profile.prompt, static_cast<std::int64_t>(tokens.size())));
  }
  auto answer = std::make_shared<Prediction::Impl>();
  answer->geometry = data.geometry;
  answer->rules = profile.mask;
  answer->prompts = static_cast<std::int64_t>(prompts.size());
  answer->masks = static_cast<std::int64_t>(index.size());
  answer->low_height = decoder->low_height();
  answer->low_width = decoder->low_width();
  const std::size_t masks = index.size();
  const auto size = static_cast<std::size_t>(answer->low_height * answer->low_width) * masks;
  answer->logits.resize(prompts.size() * size);
  answer->iou.resize(prompts.size() * masks);
  decoder->decode(data.outputs[0], tokens, index, predict_options.cancelled,
                  [&](std::size_t n, const float* logits, const float* iou) {
                    std::copy(logits, logits + size, answer->logits.data() + n * size);
                    std::copy(iou, iou + masks, answer->iou.data() + n * masks);
                  });
  return Prediction(std::move(answer));
}

std::vector<MaskStats> Engine::Impl::segment(const ImageEmbedding& embedding, const std::vector<Box>& boxes,
                                             const LabelView& out, const SegmentOptions& segment_options) const {
  check_process();
  const detail::EmbeddingData& data = checked(embedding);
  check_labels(out, data.geometry.height, data.geometry.width, boxes.size());
  std::vector<double> areas;
  areas.reserve(boxes.size());
  for (const Box& box : boxes) areas.push_back((box.x1 - box.x0 + 1) * (box.y1 - box.y0 + 1));
  const std::vector<std::size_t> order = paint_order(areas, profile.mask.overlap);
  std::vector<PromptTokens> tokens;
  tokens.reserve(boxes.size());
  for (const std::size_t i : order) {
    const Prompt prompt{boxes[i], {}, nullptr};
    tokens.push_back(prompt_tokens(prompt, data.geometry, profile.prompt, static_cast<std::int64_t>(i)));
  }
  clear_labels(out);
  std::vector<MaskStats> stats(boxes.size());
  // All boxes have two tokens, so the decoder answers in order and what is painted last wins.
  decoder->decode(
      data.outputs[0], tokens, {0}, segment_options.cancelled, [&](std::size_t n, const float* logits, const float*) {
        const auto count = static_cast<std::uint32_t>(order[n] + 1);
        const std::uint32_t label = profile.mask.labels == LabelRule::modulo_256 ? count % 256 : count;
        stats[order[n]] =
            write_label(logits, decoder->low_height(), decoder->low_width(), data.geometry, profile.mask, out, label);
      });
  return stats;
}

std::vector<VolumeStats> Engine::Impl::segment_volume(const VolumeView& volume, const std::vector<Box3D>& boxes,
                                                      const LabelVolumeView& out,
                                                      const VolumeOptions& volume_options) const {
  check_process();
  check_volume(volume);
  check_label_volume(out, volume, boxes.size());
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    static_cast<void>(checked_box3d(boxes[i], volume.depth, volume.height, volume.width, static_cast<std::int64_t>(i)));
  }
  for (std::int64_t z = 0; z < out.depth; ++z) clear_labels(slice_of(out, z));
  const EncodeSlice encode_slice = [&](std::int64_t z, bool again) {
    return encode(slice_of(volume, z), again ? EmbeddingCache::Keep::evicting : EmbeddingCache::Keep::if_there_is_room);
  };
  const Profile& rules = volume_options.profile.empty() ? profile : choose_profile(volume_options.profile, bundle);
  return propagate(volume, boxes, rules, encode_slice, *decoder, out, volume_options);
}

Engine::Engine(const std::string& bundle, EngineOptions options)
    : impl_(at_edge("loading the bundle", [&] { return std::make_unique<Impl>(bundle, std::move(options)); })) {}

Engine::~Engine() {
  // In a forked child the backend's threads do not exist and joining them would hang: leave the memory to the kernel.
  if (impl_ && ::getpid() != impl_->pid) {
    const Impl* left_alone = impl_.release();
    static_cast<void>(left_alone);
  }
}

Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;

const EngineInfo& Engine::info() const { return impl_->info; }

ImageEmbedding Engine::encode(const ImageView& image) const {
  return at_edge("encode", [&] { return impl_->encode(image); });
}

CacheStats Engine::cache_stats() const {
  CacheStats stats = impl_->embeddings.stats();
  stats.store_hits = impl_->store_hits.load();
  return stats;
}

void Engine::clear_cache() const { impl_->embeddings.clear(); }

Prediction Engine::predict(const ImageEmbedding& embedding, const std::vector<Prompt>& prompts,
                           const PredictOptions& options) const {
  return at_edge("predict", [&] { return impl_->predict(embedding, prompts, options); });
}

std::vector<MaskStats> Engine::segment(const ImageView& image, const std::vector<Box>& boxes, const LabelView& out,
                                       const SegmentOptions& options) const {
  return at_edge("segment", [&] {
    check_image(image);
    check_labels(out, image.height, image.width, boxes.size());  // before the expensive part
    if (options.cancelled && options.cancelled()) throw Cancelled("segment: cancelled by the caller");
    for (std::size_t i = 0; i < boxes.size(); ++i) {
      static_cast<void>(checked_box(boxes[i], image.height, image.width, static_cast<std::int64_t>(i)));
    }
    return impl_->segment(impl_->encode(image), boxes, out, options);
  });
}

std::vector<MaskStats> Engine::segment(const ImageEmbedding& embedding, const std::vector<Box>& boxes,
                                       const LabelView& out, const SegmentOptions& options) const {
  return at_edge("segment", [&] { return impl_->segment(embedding, boxes, out, options); });
}

std::vector<VolumeStats> Engine::segment_volume(const VolumeView& volume, const std::vector<Box3D>& boxes,
                                                const LabelVolumeView& out, const VolumeOptions& options) const {
  return at_edge("segment_volume", [&] { return impl_->segment_volume(volume, boxes, out, options); });
}

std::string simd_target() {
  try {
    return kernels::table().name;
  } catch (const std::invalid_argument& e) {
    throw Unsupported(e.what());
  }
}

const char* version() noexcept { return MEDSAM_ENGINE_VERSION; }

}  // namespace medsam
