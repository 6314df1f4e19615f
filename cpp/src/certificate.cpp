// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "certificate.hpp"

#include <algorithm>

#include "medsam/error.hpp"

namespace medsam {

namespace {

// The bars of the project's design (docs/precision.md). Without a ground truth only the agreement with f32 is known,
// and it must be higher.
constexpr std::int64_t kImages = 40;
constexpr double kAgreement = 0.98, kAgreementWithoutTruth = 0.99;
constexpr double kTruthLoss = 0.002, kWorstLoss = 0.05;

bool is_precision(const std::string& name) { return name == "f32" || name == "bf16" || name == "f16"; }

std::string stage(ObjectReader& stages, const char* name) {
  const std::string precision = stages.string(name);
  if (!is_precision(precision)) {
    stages.fail(name, "\"" + precision.substr(0, 20) + "\"", "f32 | bf16 | f16");
  }
  return precision;
}

std::optional<double> optional_number(ObjectReader& reader, const char* field) {
  if (reader.get(field).is_null()) return std::nullopt;
  return reader.number(field);
}

bool native(const StagePrecisions& stages, const PrecisionContext& context) {
  return context.native(stages.encoder) && context.native(stages.decoder);
}

int reduced(const Certificate& c) { return (c.stages.encoder != "f32" ? 2 : 0) + (c.stages.decoder != "f32" ? 1 : 0); }

}  // namespace

Certificate parse_certificate(const Json& json, const std::string& where) {
  ObjectReader reader(json, where);
  Certificate certificate;
  certificate.stages.name = reader.string("precision");
  ObjectReader stages = reader.object("stages");
  certificate.stages.encoder = stage(stages, "encoder");
  certificate.stages.decoder = stage(stages, "decoder");
  stages.finish();
  certificate.model_hash = reader.string("model_hash");
  certificate.backend = reader.string("backend");
  certificate.device = reader.string("device");
  ObjectReader measured = reader.object("measured");
  certificate.images = measured.integer("images", 0, std::int64_t{1} << 40);
  certificate.agreement_mean = measured.number("agreement_mean");
  certificate.truth_f32 = optional_number(measured, "truth_f32");
  certificate.truth = optional_number(measured, "truth");
  certificate.worst_loss = optional_number(measured, "worst_loss");
  for (const char* field : {"objects", "agreement_worst", "machine", "profile", "encode_ratio", "prompt_ratio"}) {
    measured.skip(field);
  }
  measured.finish();
  reader.finish();
  return certificate;
}

std::string fault_of(const Certificate& c, const std::string& model_hash, const std::string& backend,
                     const std::string& device) {
  if (c.model_hash != model_hash) return "its certificate is for other model files";
  if (c.backend != backend) return "its certificate is for " + c.backend + ", this is " + backend;
  if (c.device != device) return "its certificate is for the device " + c.device;
  if (c.images < kImages) return "its certificate covers fewer than " + std::to_string(kImages) + " images";
  const bool truth = c.truth_f32 && c.truth && c.worst_loss;
  // Written so that NaN fails.
  const bool keeps =
      truth ? c.agreement_mean >= kAgreement && *c.truth >= *c.truth_f32 - kTruthLoss && *c.worst_loss <= kWorstLoss
            : c.agreement_mean >= kAgreementWithoutTruth;
  return keeps ? "" : "its certificate shows that it changes the masks too much";
}

namespace {

// "bf16/f32": what is measured before there is a certificate.
std::optional<StagePrecisions> stage_pair(const std::string& wanted) {
  const std::size_t slash = wanted.find('/');
  if (slash == std::string::npos) return std::nullopt;
  const StagePrecisions stages{wanted, wanted.substr(0, slash), wanted.substr(slash + 1)};
  return is_precision(stages.encoder) && is_precision(stages.decoder) ? std::optional(stages) : std::nullopt;
}

}  // namespace

StagePrecisions choose_precision(const std::string& wanted, bool allow_uncertified, const PrecisionContext& context) {
  if (wanted == "f32") return {};
  if (const auto pair = stage_pair(wanted); pair && allow_uncertified && native(*pair, context)) return *pair;
  const std::string names = "f32, bf16, f16, int8 or auto";
  if (wanted != "auto" && wanted != "bf16" && wanted != "f16" && wanted != "int8") {
    throw InvalidArgument("precision: got \"" + wanted.substr(0, 20) + "\", expected " + names);
  }
  const Certificate* best = nullptr;
  std::string why = "this bundle has no certificate for it";
  for (const Certificate& certificate : context.certificates) {
    if (wanted != "auto" && certificate.stages.name != wanted) continue;
    std::string fault = fault_of(certificate, context.model_hash, context.backend, context.device);
    if (fault.empty() && !native(certificate.stages, context)) fault = "this processor does not compute in it";
    if (!fault.empty()) {
      why = std::move(fault);
    } else if (best == nullptr || reduced(certificate) > reduced(*best)) {
      best = &certificate;
    }
  }
  if (best != nullptr) return best->stages;
  if (wanted == "auto") return {};
  const StagePrecisions all{wanted, wanted, wanted};
  if (allow_uncertified && wanted != "int8" && native(all, context)) return all;
  if (allow_uncertified) why = "this processor does not compute in it";
  throw Unsupported("precision: got \"" + wanted + "\", but " + why +
                    "; use f32 or auto, or measure one with `medsam-engine certify`");
}

}  // namespace medsam
