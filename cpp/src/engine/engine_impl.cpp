// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "engine/engine_impl.hpp"

#include <algorithm>
#include <set>
#include <stdexcept>

#include "base/sha256.hpp"
#include "embedding/embedding_fingerprint.hpp"
#include "image/views.hpp"
#include "kernels/pixels/pixel_kernels.hpp"
#include "medsam/error.hpp"
#include "model/prediction.hpp"
#include "precision/trial.hpp"

namespace medsam {

using backends::Shape;

namespace {

CacheFolder::Log warnings(const EngineOptions& options) {
  return [log = options.log](const std::string& text) {
    if (log) log(LogLevel::warning, text);
  };
}

// What is worth knowing while a model is compiled.
std::function<void(const std::string&)> news(const EngineOptions& options) {
  if (!options.log) return nullptr;
  return [log = options.log](const std::string& text) { log(LogLevel::info, text); };
}

// The backend of a bundle without graphs. No library of a vendor has a part in it.
std::unique_ptr<backends::Backend> create_native_alone(const std::string& device) {
  constexpr const char* kRemedy = "export the bundle again with its graphs (--onnx)";
  std::string name = device;
  for (char& c : name) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  if (name != "CPU" && name != "AUTO") {
    throw Unsupported("device: got \"" + device.substr(0, 40) +
                      "\", but this bundle has native weights alone, which run on the CPU; use \"CPU\", or " + kRemedy);
  }
  auto backend = backends::create_native("CPU");
  if (backend != nullptr && backend->native(kF32Fused)) return backend;
  throw Unsupported(
      std::string("device: this processor lacks AVX2, and this bundle has native weights alone, which need it; ") +
      kRemedy);
}

}  // namespace

Engine::Impl::Impl(const std::string& folder, EngineOptions opts)
    : options(std::move(opts)),
      cache(options.cache_dir, warnings(options)),
      bundle(read_bundle(folder)),
      profile(profile_of(options.profile)),
      embeddings(options.cache_bytes),
      store(options.embedding_store, options.embedding_store_bytes, warnings(options)) {
  if (options.threads < 0 || options.threads > 4096) {
    throw InvalidArgument("threads: got " + std::to_string(options.threads) + ", expected 0 (all cores) to 4096");
  }
  if (options.expert_limit < 1) throw InvalidArgument("expert_limit: got 0, expected at least 1");
  try {
    static_cast<void>(kernels::table());
  } catch (const std::invalid_argument& e) {
    throw Unsupported(e.what());
  }
  backend = bundle.graphs ? backends::create_backend(options.device) : create_native_alone(options.device);
  if (bundle.graphs && bundle.has_native_models()) native = backends::create_native(backend->device_id());
  plan = resolve(options, bundle, {*backend, bundle.graphs ? native.get() : backend.get()}, cache, warnings(options));
  options.threads = plan.threads;
  for (const auto& [name, models] : bundle.models) {
    const ModelFile& encoder = plan.stages.encoder.variant->file_of(models.at("encoder"));
    fingerprints_[name] = embedding_fingerprint(bundle, encoder, plan.computed(), options.embedding_storage);
  }
  models_ =
      std::make_unique<ModelPool>(options.expert_limit, [this](const std::string& name) { return load_model(name); });
  if (!options.modality.empty()) static_cast<void>(route_of(options.modality));
  if (bundle.models.size() == 1) {
    static_cast<void>(models_->get(bundle.models.begin()->first));
  } else if (!options.modality.empty()) {
    static_cast<void>(models_->get(route_of(options.modality).expert));
  }
  describe();
}

std::shared_ptr<Model> Engine::Impl::load_model(const std::string& name) const {
  return std::make_shared<Model>(
      bundle, name, fingerprints_.at(name),
      [this](const ModelFile& model, std::vector<Shape> shapes) { return compile(model, std::move(shapes)); });
}

std::shared_ptr<const backends::CompiledModel> Engine::Impl::compile(const ModelFile& model,
                                                                     std::vector<Shape> shapes) const {
  const std::string hash = plan.run_of(model).variant->file_of(model).content_hash();
  return compiled_.get(model.role + " " + hash, [&] { return compile_anew(model, std::move(shapes)); });
}

std::shared_ptr<const backends::CompiledModel> Engine::Impl::compile_anew(const ModelFile& model,
                                                                          std::vector<Shape> shapes) const {
  const StageRun& run = plan.run_of(model);
  const Variant& variant = *run.variant;
  const ModelFile& file = variant.file_of(model);
  const ModelSource source(file, [&](const VerifiedModel& verified) {
    verified.remember(cache);
    if (variant.needs_trial || verified.quantized()) {
      try_apart({bundle, plan.stages, options, *backend}, file, variant.format, cache);
    }
  });
  auto compiled =
      run.backend->compile(source, {variant.format, options.threads, std::move(shapes), news(options)}, cache);
  if (!source.was_read()) verify_model(file, cache, options.verify);
  return compiled;
}

void Engine::Impl::describe() {
  const ModelSet& models = bundle.first();
  info.family = bundle.family;
  info.profile = profile.name;
  info.device = backend->device_name();
  info.precision = plan.stages.precision;
  info.encoder_precision = plan.stages.encoder.name();
  info.decoder_precision = plan.stages.decoder.name();
  info.backend = backend->library();
  info.encoder_backend = plan.stages.encoder.backend->revision(Stage::encoder);
  info.decoder_backend = plan.stages.decoder.backend->revision(Stage::decoder);
  info.model_hash = bundle.model_hash;
  std::string all;
  for (const auto& [name, fingerprint] : fingerprints_) all.append(name).append(" ").append(fingerprint).append("\n");
  info.fingerprint = fingerprints_.size() == 1 ? fingerprints_.begin()->second : sha256_hex(all);
  info.threads = options.threads;
  info.tuned = plan.tuned;
  info.certified = plan.certified;
  info.certificates = plan.certificates;
  info.certificates_file = plan.certificates_file;
  info.machine = plan.machine;
  info.tuning_file = plan.tuning_file;
  info.input_size = bundle.input_size;
  info.embedding_shape = models.at("encoder").outputs[0].shape;
  info.embedding_shape[0] = 1;
  const LogitsSize logits = models.at("decoder").low_res_size();
  info.mask_shape = {logits.height, logits.width};
  info.accepts_points = bundle.prompt.points;
  info.accepts_mask = bundle.prompt.mask_input != MaskInput::none;
  info.accepts_scribble = bundle.prompt.mask_input == MaskInput::scribble;
  info.trained_prompts = bundle.trained.combinations;
  info.trained_prompts_stated = bundle.trained.stated;
  std::set<std::string> modalities;
  for (const auto& [modality, index] : bundle.modality.index) modalities.insert(modality);
  for (const auto& [modality, expert] : bundle.modality.experts) modalities.insert(modality);
  info.modalities.assign(modalities.begin(), modalities.end());
  info.needs_modality =
      !bundle.modality.index.empty() || (!bundle.modality.experts.empty() && !bundle.modality.fallback);
  for (const auto& [name, models_of] : bundle.models) {
    if (!name.empty()) info.experts.push_back(name);
  }
}

Route Engine::Impl::route_of(const std::string& modality) const {
  return route(bundle.modality, modality.empty() ? options.modality : modality);
}

void Engine::Impl::check_process() const {
  if (platform::process_id() != process) {
    throw Unsupported(
        "engine: used in a child process after fork, where its threads do not exist; start processes with the spawn "
        "method, and create the Engine in them");
  }
}

void Engine::Impl::check_prompt(PromptKinds kinds, bool allow_untrained, const std::string& name) const {
  check_accepted(kinds, bundle.prompt, name);
  if (!allow_untrained) check_trained(kinds, bundle.trained, bundle.family, name);
}

Prediction Engine::Impl::predict(const ImageEmbedding& embedding, const std::vector<Prompt>& prompts,
                                 const PredictOptions& predict_options) const {
  check_process();
  const auto [data, model, expert] = checked(embedding);
  Decoder& decoder = model->decoder();
  const PromptContext context = model->context(data, profile.prompt);
  // SAM's mask tokens: 0 is the single mask, 1 to 3 the alternatives (mask_decoder.py forward).
  const std::vector<std::int32_t> index =
      predict_options.multimask_output ? std::vector<std::int32_t>{1, 2, 3} : std::vector<std::int32_t>{0};
  std::vector<PromptTokens> tokens;
  tokens.reserve(prompts.size());
  for (const Prompt& prompt : prompts) {
    const std::string name = "prompt " + std::to_string(tokens.size());
    tokens.push_back(prompt_tokens(prompt, context, static_cast<std::int64_t>(tokens.size())));
    check_prompt(kinds_of(prompt, bundle.prompt), predict_options.allow_untrained, name);
  }
  auto answer = std::make_shared<Prediction::Impl>();
  answer->geometry = data.geometry;
  answer->rules = profile.mask;
  answer->prompts = static_cast<std::int64_t>(prompts.size());
  answer->masks = static_cast<std::int64_t>(index.size());
  answer->low_height = decoder.low_height();
  answer->low_width = decoder.low_width();
  answer->iou.resize(prompts.size() * index.size());
  // Whole maps: they are the answer's low_res_logits.
  decoder.decode(data, tokens, {index}, predict_options.cancelled,
                 [&](std::size_t n, const Decoder::Answer& from) { answer->take(n, from); });
  return Prediction(std::move(answer));
}

}  // namespace medsam
