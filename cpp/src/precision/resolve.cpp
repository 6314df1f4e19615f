// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "precision/resolve.hpp"

#include <algorithm>
#include <utility>

#include "medsam/error.hpp"
#include "medsam/library.hpp"
#include "precision/certificate_origin.hpp"
#include "precision/tuning.hpp"

namespace medsam {

namespace {

Choice of_certificate(const Certificate& certificate, const Situation& here) {
  return {certificate.name, *here.find(Stage::encoder, certificate.encoder.arithmetic->name),
          *here.find(Stage::decoder, certificate.decoder.arithmetic->name)};
}

// What needs no certificate: the exact graphs in f32. A bundle without graphs has f32 on own kernels in their place,
// and nothing else in f32 that it could differ from.
Choice uncertified(const Situation& here) {
  const char* name = here.graphs ? "f32" : kF32Fused;
  return {"f32", *here.find(Stage::encoder, name), *here.find(Stage::decoder, name)};
}

// How much of the work a certified precision makes faster: of an image with one prompt, most is the encoder's.
std::pair<int, int> rank(const Certificate& certificate) {
  return {certificate.encoder.arithmetic->speed, certificate.decoder.arithmetic->speed};
}

// The highest-ranking certificate that holds, of those that `covers` names; null, and `why` the last refusal of one,
// where none does.
template <class Covers>
const Certificate* best_certificate(const Situation& here, const Covers& covers, std::string& why) {
  const Certificate* best = nullptr;
  for (const Certificate& certificate : here.certificates) {
    if (!covers(certificate)) continue;
    std::string refused = refusal(certificate, here);
    if (!refused.empty()) {
      why = std::move(refused);
    } else if (best == nullptr || rank(certificate) > rank(*best)) {
      best = &certificate;
    }
  }
  return best;
}

// What is asked for by name: a pair of stages, which is how a precision is measured before it has a certificate, or one
// word for both. Decoders are in f32 where none comes in it.
struct Wanted {
  const Arithmetic* encoder = nullptr;
  const Arithmetic* decoder = nullptr;
  bool pair = false;
};

Wanted parse(const std::string& text) {
  const std::size_t slash = text.find('/');
  Wanted wanted{find_arithmetic(Stage::encoder, text.substr(0, slash)), nullptr, slash != std::string::npos};
  wanted.decoder = find_arithmetic(Stage::decoder, wanted.pair ? text.substr(slash + 1) : text);
  if (!wanted.pair && wanted.decoder == nullptr) wanted.decoder = find_arithmetic(Stage::decoder, "f32");
  const bool known = wanted.encoder != nullptr && wanted.decoder != nullptr;
  if (known && (wanted.pair || wanted.encoder->word_alone)) return wanted;
  std::string names;
  for (const Arithmetic& arithmetic : arithmetics()) {
    if (arithmetic.word_alone) names.append(names.empty() ? "" : ", ").append(arithmetic.name);
  }
  throw InvalidArgument("precision: got \"" + text.substr(0, 20) + "\", expected " + names + " or auto");
}

[[noreturn]] void refuse(const std::string& text, const std::string& why) {
  const char* remedy = why == kNoGraphs ? "; use f32 or auto, or export the bundle again with its graphs (--onnx)"
                                        : "; use f32 or auto, or measure one with `medsam-engine certify`";
  throw Unsupported("precision: got \"" + text + "\", but " + why + remedy);
}

Choice choose_by_name(const std::string& text, bool allow_uncertified, const Situation& here) {
  const Wanted wanted = parse(text);
  const char *first = wanted.encoder->name, *second = wanted.decoder->name;
  std::string why;
  if (wanted.pair) {
    if (auto certified = certified_stages(first, second, here, &why)) return *certified;
  } else if (const Certificate* best = best_certificate(
                 here, [&](const Certificate& c) { return c.name == text; }, why)) {
    return of_certificate(*best, here);
  }
  const StageRun *encoder = here.find(Stage::encoder, first), *decoder = here.find(Stage::decoder, second);
  const bool native = encoder != nullptr && decoder != nullptr && encoder->native && decoder->native;
  if (native && allow_uncertified) return {text, *encoder, *decoder};
  const Arithmetic* missing = encoder == nullptr ? wanted.encoder : decoder == nullptr ? wanted.decoder : nullptr;
  if (missing != nullptr && !here.graphs && !missing->own_kernels) {
    if (wanted.pair || why.empty()) why = kNoGraphs;
  } else if (missing != nullptr && *missing->none_here != '\0') {
    why = missing->none_here;
  } else if (!native && (wanted.pair || allow_uncertified)) {
    why = kNotNative;
  }
  refuse(text, why.empty() ? "this bundle has no certificate for it" : why);
}

// Stages on own kernels where that is certified to be f32, too.
Choice choose_f32(const Situation& here) {
  std::string why;
  const auto in_f32 = [](const CertifiedStage& s) { return s.arithmetic->exactness != Exactness::rounded; };
  const auto both = [&](const Certificate& c) { return in_f32(c.encoder) && in_f32(c.decoder); };
  const Certificate* best = best_certificate(here, both, why);
  return best != nullptr ? of_certificate(*best, here) : uncertified(here);
}

Choice choose_auto(const Situation& here) {
  std::string why;
  const auto by_rank = [](const Certificate& c) { return c.encoder.arithmetic->by_rank; };
  const Certificate* best = best_certificate(here, by_rank, why);
  return best != nullptr ? of_certificate(*best, here) : uncertified(here);
}

// The stored choice, where it holds; threads are the caller's where the caller says.
bool take_tuned(RunPlan& plan, const TuningKey& key, const Situation& here, const CacheFolder& cache,
                const CacheFolder::Log& log) {
  const std::optional<Tuning> tuned = read_tuning(cache, key, log);
  if (!tuned) return false;
  std::optional<Choice> stages = certified_stages(tuned->encoder, tuned->decoder, here);
  if (!stages) {
    report_unused(cache, key, log,
                  "no certificate of the bundle holds for encoder " + tuned->encoder.substr(0, 20) + " and decoder " +
                      tuned->decoder.substr(0, 20));
    return false;
  }
  plan.stages = *std::move(stages);
  if (plan.threads == 0) plan.threads = tuned->threads;
  return true;
}

}  // namespace

std::string RunPlan::computed() const {
  const Variant& variant = *stages.encoder.variant;
  std::string text = variant.runner == Runner::native ? stages.encoder.backend->revision(Stage::encoder) + " " : "";
  text += variant.arithmetic->name;
  // The layers that are not int8 compute in a format of their own.
  if (variant.format != variant.arithmetic->name) text += " rest " + variant.format;
  return text;
}

std::optional<Choice> certified_stages(const std::string& encoder, const std::string& decoder, const Situation& here,
                                       std::string* why) {
  Choice free = uncertified(here);
  if (encoder == free.encoder.name() && decoder == free.decoder.name()) return free;
  std::string refused;
  const auto these = [&](const Certificate& c) { return c.of(encoder, decoder); };
  const Certificate* best = best_certificate(here, these, why != nullptr ? *why : refused);
  return best != nullptr ? std::optional(of_certificate(*best, here)) : std::nullopt;
}

std::vector<std::string> certified_pairs(const Situation& here) {
  std::vector<std::string> pairs{uncertified(here).pair()};
  for (const Certificate& certificate : here.certificates) {
    const std::string pair =
        std::string(certificate.encoder.arithmetic->name) + "/" + certificate.decoder.arithmetic->name;
    const bool known = std::find(pairs.begin(), pairs.end(), pair) != pairs.end();
    if (!known && refusal(certificate, here).empty()) pairs.push_back(pair);
  }
  return pairs;
}

Choice choose(const std::string& wanted, bool allow_uncertified, const Situation& here) {
  if (wanted == "auto") return choose_auto(here);
  if (wanted == "f32") return choose_f32(here);
  return choose_by_name(wanted, allow_uncertified, here);
}

RunPlan resolve(const EngineOptions& options, const Bundle& bundle, const Backends& backends, const CacheFolder& cache,
                const CacheFolder::Log& log) {
  const backends::Backend& graph = backends.graph;
  const Situation here{with_origins(bundle.certificates, bundle.model_hash, cache, log),
                       bundle.model_hash,
                       graph.library(),
                       graph.device_id(),
                       stage_runs(bundle, backends),
                       options.trust_bundle_certificates,
                       bundle.graphs};
  RunPlan plan;
  for (const Certificate& c : here.certificates) {
    plan.certificates.push_back({c.name, c.encoder.arithmetic->name, c.decoder.arithmetic->name, c.origin,
                                 refusal(c, here), c.images, c.agreement_mean, c.agreement_worst});
  }
  plan.certificates_file = cache.path(certificates_entry(bundle.model_hash));
  plan.machine = machine_name(graph);
  plan.certified = certified_pairs(here);
  const TuningKey key{bundle.model_hash, version(), here.backend, here.device, plan.machine};
  plan.tuning_file = cache.path(tuning_entry(key));
  plan.threads = options.threads;
  plan.tuned = options.precision == "auto" && take_tuned(plan, key, here, cache, log);
  if (!plan.tuned) plan.stages = choose(options.precision, options.allow_uncertified, here);
  return plan;
}

}  // namespace medsam
