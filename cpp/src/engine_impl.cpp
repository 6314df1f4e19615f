// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "engine_impl.hpp"

#include <algorithm>
#include <future>
#include <stdexcept>

#include "finite.hpp"
#include "kernels/kernels.hpp"
#include "medsam/error.hpp"
#include "prediction.hpp"
#include "preprocess.hpp"
#include "sha256.hpp"
#include "volume.hpp"

namespace medsam {

using backends::Shape;

namespace {

CacheFolder::Log warnings(const EngineOptions& options) {
  return [log = options.log](const std::string& text) {
    if (log) log(LogLevel::warning, text);
  };
}

Profile choose_profile(const std::string& name, const Bundle& bundle) {
  return name.empty() || name == bundle.profile.name ? bundle.profile : builtin_profile(name);
}

// To be raised when the pixel kernels or this library's use of the encoder change an embedding's values: embeddings
// outlive the library's version in stores and files, and must not be taken for new ones.
constexpr int kEmbeddingRevision = 1;

// Everything that decides an embedding's values, but for rounding noise.
std::string embedding_fingerprint(const Bundle& bundle, const ImageRules& rules, const EngineOptions& options) {
  const Json text = {{"revision", kEmbeddingRevision},
                     {"encoder", bundle.model("encoder").sha256},
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

}  // namespace medsam
