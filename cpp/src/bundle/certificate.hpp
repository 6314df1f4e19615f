// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A certificate as the manifest has it: docs/bundle.md, "Certificates". Whether it holds is for precision/refusal.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "bundle/arithmetic.hpp"
#include "medsam/engine_info.hpp"

namespace medsam {

/// A stage, as it was measured.
struct CertifiedStage {
  const Arithmetic* arithmetic = nullptr;
  std::string identity;  // of the files; "" = the exact graphs
};

/// A measured statement that an approximation keeps the masks.
struct Certificate {
  std::string name;  // the precision that users choose it by
  CertifiedStage encoder, decoder;
  std::string model_hash;  // of the bundle it was measured on
  std::string backend;     // e.g. "OpenVINO 2026.4.1"
  std::string device;      // e.g. "CPU"
  std::int64_t images = 0;
  double agreement_mean = 0;               // DSC with the f32 masks, mean over the objects
  double agreement_worst = 0;              // of an object; NaN where it is not there, which no rule accepts
  std::optional<double> truth_f32, truth;  // mean DSC with the ground truth, where there is one
  std::optional<double> worst_loss;        // of truth DSC, over large objects that f32 gets right
  std::optional<double> largest;           // magnitude in the f16 graphs that it names
  std::string text;                        // all of it as JSON, by which it is known again
  CertificateOrigin origin = CertificateOrigin::bundle;

  /// Whether it is for these stages.
  [[nodiscard]] bool of(std::string_view encoder_name, std::string_view decoder_name) const {
    return encoder.arithmetic->name == encoder_name && decoder.arithmetic->name == decoder_name;
  }
};

/// The identity of a stage on own kernels: its file's hash and the revision that computes it, since the kernels decide,
/// too.
std::string native_identity(const std::string& hash, const std::string& backend);

}  // namespace medsam
