// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "precision/refusal.hpp"

#include <algorithm>

namespace medsam {

namespace {

// The bars of the project's design (docs/precision.md). Without a ground truth only the agreement with f32 is known,
// and it must be higher.
constexpr std::int64_t kImages = 40;
constexpr double kAgreement = 0.98, kAgreementWithoutTruth = 0.99;
constexpr double kTruthLoss = 0.002, kWorstLoss = 0.05;
// Of two ways to compute in f32: what parity with the published masks of images asks of the engine itself.
constexpr double kSameMean = 0.9999, kSameWorst = 0.999;
constexpr double kLargestF16 = 65504 / 2.0;  // of the magnitudes seen in an f16 graph: an image may hold more

// The certificate must be for the files that would run here.
std::string other_files(Stage stage, const CertifiedStage& certified, const Situation& here) {
  const Arithmetic& arithmetic = *certified.arithmetic;
  if (!here.graphs && !arithmetic.own_kernels) return kNoGraphs;
  const StageRun* run = here.find(stage, arithmetic.name);
  const bool unnamed = arithmetic.own_file && certified.identity.empty();
  return unnamed || certified.identity != (run != nullptr ? run->identity : "") ? arithmetic.other_files : "";
}

// It must have been measured on this backend and device where they decide what is computed. They do not where graphs
// have types of their own, which round alike everywhere, nor for f32; and own kernels are named with their files, and
// run on the processor only.
std::string other_place(const Certificate& c, const Situation& here) {
  const auto own_types = [](const CertifiedStage& s) { return s.arithmetic->portable && !s.identity.empty(); };
  const auto own_kernels = [](const CertifiedStage& s) { return s.arithmetic->own_kernels; };
  const auto backends_own = [&](const CertifiedStage& s) {
    return !own_types(s) && !own_kernels(s) && s.arithmetic->exactness != Exactness::exact;
  };
  const bool typed = own_types(c.encoder) || own_types(c.decoder);
  const bool approximated = backends_own(c.encoder) || backends_own(c.decoder);
  if (approximated && c.backend != here.backend) {
    return "its certificate is for " + c.backend + ", this is " + here.backend;
  }
  if ((approximated || own_kernels(c.encoder) || own_kernels(c.decoder)) && c.device != here.device) {
    return "its certificate is for the device " + c.device;
  }
  // Written so that NaN fails, here and below.
  if (typed && !(c.largest && *c.largest <= kLargestF16)) return "its certificate shows values near f16's largest";
  return "";
}

// What was measured must reach the bars.
std::string below_the_bars(const Certificate& c) {
  if (c.images < kImages) return "its certificate covers fewer than " + std::to_string(kImages) + " images";
  const Exactness encoder = c.encoder.arithmetic->exactness, decoder = c.decoder.arithmetic->exactness;
  const bool rounded = encoder == Exactness::rounded || decoder == Exactness::rounded;
  if (!rounded && (encoder == Exactness::reordered || decoder == Exactness::reordered)) {
    const bool same = c.agreement_mean >= kSameMean && c.agreement_worst >= kSameWorst;
    return same ? "" : "its certificate shows other masks than f32's";
  }
  const bool truth = c.truth_f32 && c.truth && c.worst_loss;
  const bool keeps =
      truth ? c.agreement_mean >= kAgreement && *c.truth >= *c.truth_f32 - kTruthLoss && *c.worst_loss <= kWorstLoss
            : c.agreement_mean >= kAgreementWithoutTruth;
  return keeps ? "" : "its certificate shows that it changes the masks too much";
}

bool computes(Stage stage, const CertifiedStage& certified, const Situation& here) {
  const StageRun* run = here.find(stage, certified.arithmetic->name);
  return run != nullptr && run->native;
}

}  // namespace

const StageRun* Situation::find(Stage stage, std::string_view name) const {
  const auto found = std::find_if(runs.begin(), runs.end(), [&](const StageRun& run) {
    return run.variant->stage == stage && run.variant->arithmetic->name == name;
  });
  return found == runs.end() ? nullptr : &*found;
}

std::vector<StageRun> stage_runs(const Bundle& bundle, const Backends& backends) {
  std::vector<StageRun> runs;
  for (const Variant& variant : bundle.variants) {
    const bool native = variant.runner == Runner::native;
    const backends::Backend* backend = native ? backends.native : &backends.graph;
    if (backend == nullptr || !backend->takes(variant)) continue;
    runs.push_back({&variant, backend,
                    native ? native_identity(variant.identity, backend->revision(variant.stage)) : variant.identity,
                    backend->runs(variant)});
  }
  return runs;
}

std::string refusal(const Certificate& certificate, const Situation& here) {
  if (certificate.model_hash != here.model_hash) return "its certificate is for other model files";
  std::string why = other_files(Stage::encoder, certificate.encoder, here);
  if (why.empty()) why = other_files(Stage::decoder, certificate.decoder, here);
  if (why.empty()) why = other_place(certificate, here);
  if (why.empty()) why = below_the_bars(certificate);
  if (!why.empty()) return why;
  if (!computes(Stage::encoder, certificate.encoder, here) || !computes(Stage::decoder, certificate.decoder, here)) {
    return kNotNative;
  }
  if (certificate.origin == CertificateOrigin::bundle && !here.trust_bundle) {
    return "its certificate is the bundle's own word, neither this project's nor measured on this machine, and not "
           "trusted (trust_bundle_certificates)";
  }
  return "";
}

}  // namespace medsam
