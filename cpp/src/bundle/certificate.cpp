// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "bundle/certificate.hpp"

#include <algorithm>
#include <limits>

#include "bundle/manifest_parser.hpp"
#include "medsam/error.hpp"

namespace medsam {

namespace {

// The bars of the project's design (docs/precision.md). Without a ground truth only the agreement with f32 is known,
// and it must be higher.
constexpr std::int64_t kImages = 40;
constexpr double kAgreement = 0.98, kAgreementWithoutTruth = 0.99;
constexpr double kTruthLoss = 0.002, kWorstLoss = 0.05;
// Of two ways to compute in f32: what parity with the published masks of images asks of the engine itself.
constexpr double kSameMean = 0.9999, kSameWorst = 0.999;
constexpr double kLargestHalf = 65504 / 2.0;  // of the magnitudes seen in an f16 graph: an image may hold more

bool is_decoder_precision(const std::string& name) { return name == "f32" || name == "bf16" || name == "f16"; }
bool is_encoder_precision(const std::string& name) {
  return is_decoder_precision(name) || name == "bf16_mixed" || is_fused(name) || name == "int8";
}

StagePrecisions parse_stages(ObjectReader stages, const std::string& name) {
  const StagePrecisions parsed{name, stages.string("encoder"), stages.string("decoder")};
  if (!is_encoder_precision(parsed.encoder)) {
    stages.fail("encoder", "\"" + parsed.encoder.substr(0, 20) + "\"",
                "f32 | f32_fused | bf16 | bf16_mixed | bf16_fused | f16 | int8");
  }
  if (!is_decoder_precision(parsed.decoder)) {
    stages.fail("decoder", "\"" + parsed.decoder.substr(0, 20) + "\"", "f32 | bf16 | f16");
  }
  stages.finish();
  return parsed;
}

std::optional<double> optional_number(ObjectReader& reader, const char* field) {
  if (reader.get(field).is_null()) return std::nullopt;
  return reader.number(field);
}

bool native(const StagePrecisions& stages, const PrecisionContext& context) {
  return context.native(stages.encoder) && context.native(stages.decoder);
}

// How much of the work an approximation makes faster: which of two certified ones "auto" takes.
int reduced(const Certificate& c) {
  const std::string& encoder = c.stages.encoder;
  const int faster = encoder == kBf16Fused ? 3 : encoder == kF32Fused ? 1 : encoder != "f32" ? 2 : 0;
  return 2 * faster + (c.stages.decoder != "f32" ? 1 : 0);
}

}  // namespace

std::string fused_identity(const std::string& hash, const std::string& backend) { return hash + " " + backend; }

Certificate parse_certificate(const Json& json, const std::string& where) {
  ObjectReader reader(json, where);
  Certificate certificate;
  certificate.text = json.dump();
  certificate.stages = parse_stages(reader.object("stages"), reader.string("precision"));
  if (reader.has("quantized")) {
    ObjectReader quantized = reader.object("quantized");
    certificate.quantized_encoder = quantized.string("encoder");
    quantized.finish();
  }
  if (reader.has("fused")) {
    ObjectReader fused = reader.object("fused");
    certificate.fused_encoder = fused_identity(fused.string("encoder"), fused.string("backend"));
    fused.finish();
  }
  if (reader.has("f16")) certificate.half_graphs = reader.string("f16");
  certificate.model_hash = reader.string("model_hash");
  certificate.backend = reader.string("backend");
  certificate.device = reader.string("device");
  ObjectReader measured = reader.object("measured");
  certificate.images = measured.integer("images", 0, std::int64_t{1} << 40);
  certificate.agreement_mean = measured.number("agreement_mean");
  certificate.agreement_worst =
      optional_number(measured, "agreement_worst").value_or(std::numeric_limits<double>::quiet_NaN());
  certificate.truth_f32 = optional_number(measured, "truth_f32");
  certificate.truth = optional_number(measured, "truth");
  certificate.worst_loss = optional_number(measured, "worst_loss");
  if (measured.has("largest")) certificate.largest = measured.number("largest");
  for (const char* field : {"objects", "machine", "profile", "encode_ratio", "prompt_ratio"}) {
    measured.skip(field);
  }
  measured.finish();
  reader.finish();
  return certificate;
}

std::string fault_of(const Certificate& c, const PrecisionContext& context) {
  const bool other_int8 =
      c.stages.encoder == "int8" && (c.quantized_encoder.empty() || c.quantized_encoder != context.quantized_encoder);
  const bool other_fused =
      is_fused(c.stages.encoder) && (c.fused_encoder.empty() || c.fused_encoder != context.fused_encoder);
  if (c.model_hash != context.model_hash || other_int8) return "its certificate is for other model files";
  if (other_fused) return "its certificate is for another fused encoder or other kernels";
  const bool half = c.stages.encoder == "f16" || c.stages.decoder == "f16";
  if (half && c.half_graphs != context.half_graphs) return "its certificate is for f16 graphs that are not run here";
  // What was measured is the rounding that a graph's own types ask for, wherever it runs; bf16 and int8 are a
  // backend's.
  const auto exact_or_half = [](const std::string& stage) { return stage == "f32" || stage == "f16"; };
  const bool graphs = half && !c.half_graphs.empty();
  const bool anywhere = graphs && exact_or_half(c.stages.encoder) && exact_or_half(c.stages.decoder);
  if (!anywhere && c.backend != context.backend) {
    return "its certificate is for " + c.backend + ", this is " + context.backend;
  }
  if (!anywhere && c.device != context.device) return "its certificate is for the device " + c.device;
  if (graphs && !(c.largest && *c.largest <= kLargestHalf)) return "its certificate shows values near f16's largest";
  if (c.images < kImages) return "its certificate covers fewer than " + std::to_string(kImages) + " images";
  const bool truth = c.truth_f32 && c.truth && c.worst_loss;
  // Written so that NaN fails.
  if (c.stages.encoder == kF32Fused && c.stages.decoder == "f32") {
    const bool same = c.agreement_mean >= kSameMean && c.agreement_worst >= kSameWorst;
    return same ? "" : "its certificate shows other masks than f32's";
  }
  const bool keeps =
      truth ? c.agreement_mean >= kAgreement && *c.truth >= *c.truth_f32 - kTruthLoss && *c.worst_loss <= kWorstLoss
            : c.agreement_mean >= kAgreementWithoutTruth;
  return keeps ? "" : "its certificate shows that it changes the masks too much";
}

std::string obstacle(const Certificate& certificate, const PrecisionContext& context) {
  std::string fault = fault_of(certificate, context);
  if (fault.empty() && !native(certificate.stages, context)) fault = "this processor does not compute in it";
  if (fault.empty() && certificate.origin == CertificateOrigin::bundle && !context.trust_bundle) {
    fault =
        "its certificate is the bundle's own word, neither this project's nor measured on this machine, and not "
        "trusted (trust_bundle_certificates)";
  }
  return fault;
}

namespace {

// "bf16/f32": what is measured before there is a certificate.
std::optional<StagePrecisions> stage_pair(const std::string& wanted) {
  const std::size_t slash = wanted.find('/');
  if (slash == std::string::npos) return std::nullopt;
  const StagePrecisions stages{wanted, wanted.substr(0, slash), wanted.substr(slash + 1)};
  return is_encoder_precision(stages.encoder) && is_decoder_precision(stages.decoder) ? std::optional(stages)
                                                                                      : std::nullopt;
}

[[noreturn]] void refuse(const std::string& wanted, const std::string& why) {
  throw Unsupported("precision: got \"" + wanted + "\", but " + why +
                    "; use f32 or auto, or measure one with `medsam-engine certify`");
}

std::string lacking(const std::string& encoder, const PrecisionContext& context) {
  if (encoder == "int8" && context.quantized_encoder.empty()) {
    return "this bundle has no int8 encoder, which `medsam-engine quantize` makes";
  }
  if (is_fused(encoder) && context.fused_encoder.empty()) {
    return "there is no fused encoder in this bundle, or no fast products for one on this device";
  }
  return "this processor does not compute in it";
}

StagePrecisions choose_pair(const StagePrecisions& wanted, bool allow_uncertified, const PrecisionContext& context) {
  if (auto certified = certified_stages(wanted.encoder, wanted.decoder, context)) return *certified;
  if (!native(wanted, context)) refuse(wanted.name, lacking(wanted.encoder, context));
  if (allow_uncertified) return wanted;
  std::string why = "this bundle has no certificate for it";
  for (const Certificate& certificate : context.certificates) {
    const StagePrecisions& stages = certificate.stages;
    if (stages.encoder == wanted.encoder && stages.decoder == wanted.decoder) why = obstacle(certificate, context);
  }
  refuse(wanted.name, why);
}

}  // namespace

std::optional<StagePrecisions> certified_stages(const std::string& encoder, const std::string& decoder,
                                                const PrecisionContext& context) {
  if (encoder == "f32" && decoder == "f32") return StagePrecisions{};
  for (const Certificate& certificate : context.certificates) {
    const StagePrecisions& stages = certificate.stages;
    if (stages.encoder == encoder && stages.decoder == decoder && obstacle(certificate, context).empty()) return stages;
  }
  return std::nullopt;
}

std::vector<std::string> certified_pairs(const PrecisionContext& context) {
  std::vector<std::string> pairs{"f32/f32"};
  for (const Certificate& certificate : context.certificates) {
    const std::string pair = certificate.stages.encoder + "/" + certificate.stages.decoder;
    const bool known = std::find(pairs.begin(), pairs.end(), pair) != pairs.end();
    if (!known && obstacle(certificate, context).empty()) pairs.push_back(pair);
  }
  return pairs;
}

StagePrecisions choose_precision(const std::string& wanted, bool allow_uncertified, const PrecisionContext& context) {
  if (wanted == "f32") return certified_stages(kF32Fused, "f32", context).value_or(StagePrecisions{});
  if (const auto pair = stage_pair(wanted)) return choose_pair(*pair, allow_uncertified, context);
  const std::string names = "f32, bf16, f16, int8 or auto";
  if (wanted != "auto" && wanted != "bf16" && wanted != "f16" && wanted != "int8") {
    throw InvalidArgument("precision: got \"" + wanted.substr(0, 20) + "\", expected " + names);
  }
  const Certificate* best = nullptr;
  std::string why = "this bundle has no certificate for it";
  for (const Certificate& certificate : context.certificates) {
    const std::string& encoder = certificate.stages.encoder;
    const bool unmeasured = wanted == "auto" && encoder == "int8";
    if (unmeasured || (wanted != "auto" && certificate.stages.name != wanted)) continue;
    std::string fault = obstacle(certificate, context);
    if (!fault.empty()) {
      why = std::move(fault);
    } else if (best == nullptr || reduced(certificate) > reduced(*best)) {
      best = &certificate;
    }
  }
  if (best != nullptr) return best->stages;
  if (wanted == "auto") return {};
  const StagePrecisions all{wanted, wanted, wanted == "int8" ? "f32" : wanted};  // no decoder comes in int8
  if (allow_uncertified && native(all, context)) return all;
  if (allow_uncertified || (wanted == "int8" && context.quantized_encoder.empty())) why = lacking(wanted, context);
  refuse(wanted, why);
}

}  // namespace medsam
